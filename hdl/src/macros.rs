//! Building blocks without writing `Default::default()` for every port.

/// Makes a block: fields in the braces get their values, the names after them their defaults.
macro_rules! with_defaults {
    (Self { $($field:ident: $value:expr),* $(,)? } $($name:ident)*) => {
        Self { $($field: $value,)* $($name: Default::default(),)* }
    };
}
