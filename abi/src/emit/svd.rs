//! The register map as a CMSIS-SVD file (Open-CMSIS-Pack, CMSIS-SVD 1.3.10), for debuggers and for
//! generators of register access code.

use super::{prose, Side};
use crate::config::HwConfig;
use crate::regs::{Access, Register, ALL, VERSION_VALUE, WINDOW_BYTES};
use svd_rs::{
    AddressBlock, AddressBlockUsage, BitRange, Device, DimElement, FieldInfo, ModifiedWriteValues,
    Peripheral, PeripheralInfo, ReadAction, RegisterCluster, RegisterInfo, RegisterProperties,
    ValidateLevel,
};

pub use svd_rs::SvdError;

const CHECKED: ValidateLevel = ValidateLevel::Strict;

/// The CMSIS-SVD file of what one side sees at `base`, with the reset values of a component of
/// these parameters. Registers that the side may not touch are left out. A register whose value
/// after reset is not fixed has a reset mask of zero.
///
/// # Errors
/// [`SvdError`] if the map breaks a rule of the format, such as a name with a strange character.
pub fn svd(config: &HwConfig, side: Side, base: u64) -> Result<String, SvdError> {
    let device = Device::builder()
        .name("SPLITMEM".into())
        .version(format!("{}.{}", VERSION_VALUE >> 16, VERSION_VALUE & 0xffff))
        .description(format!("Splitmem memory component, as the {} sees it", side.name()))
        .address_unit_bits(8)
        .width(32)
        .default_register_properties(
            RegisterProperties::new()
                .size(Some(32))
                .reset_value(Some(0))
                .reset_mask(Some(u32::MAX.into())),
        )
        .peripherals(vec![peripheral(config, side, base)?])
        .schema_version("1.3".into())
        .no_namespace_schema_location("CMSIS-SVD.xsd".into())
        .build(CHECKED)?;
    // It has no way to fail: its error has no values.
    svd_encoder::encode(&device).map_err(|error| match error {})
}

fn peripheral(config: &HwConfig, side: Side, base: u64) -> Result<Peripheral, SvdError> {
    let block = AddressBlock::builder()
        .offset(0)
        .size(WINDOW_BYTES.into())
        .usage(AddressBlockUsage::Registers)
        .build(CHECKED)?;
    let registers = ALL
        .iter()
        .filter(|register| side.access(register) != Access::None)
        .map(|r| register(r, config, side))
        .collect::<Result<_, _>>()?;
    let peripheral = PeripheralInfo::builder()
        .name("SPLITMEM".into())
        .description(Some(format!("Registers of the memory component, {} side", side.name())))
        .base_address(base)
        .address_block(Some(vec![block]))
        .registers(Some(registers))
        .build(CHECKED)?;
    Ok(peripheral.single())
}

fn register(r: &Register, config: &HwConfig, side: Side) -> Result<RegisterCluster, SvdError> {
    let access = side.access(r);
    let reset = r.reset_value(config);
    let fields = r
        .fields
        .iter()
        .map(|field| {
            let field = FieldInfo::builder()
                .name(field.name.into())
                .description(Some(field.doc.into()))
                .bit_range(BitRange::from_offset_width(field.lsb, field.width))
                .build(CHECKED)?;
            Ok(field.single())
        })
        .collect::<Result<Vec<_>, SvdError>>()?;
    let run = (r.count > 1)
        .then(|| DimElement::builder().dim(r.count.into()).dim_increment(4).build(CHECKED))
        .transpose()?;
    let register = RegisterInfo::builder()
        .name(if run.is_some() { format!("{}[%s]", r.name) } else { r.name.into() })
        .description(Some(prose(r)))
        .address_offset(r.offset.into())
        .access(Some(access_kind(access)))
        .reset_value(reset.map(u64::from))
        .reset_mask(reset.is_none().then_some(0))
        .modified_write_values((access == Access::W1c).then_some(ModifiedWriteValues::OneToClear))
        .read_action((access == Access::Pop).then_some(ReadAction::Modify))
        .fields((!fields.is_empty()).then_some(fields))
        .build(CHECKED)?;
    Ok(register.maybe_array(run).into())
}

const fn access_kind(access: Access) -> svd_rs::Access {
    match access {
        Access::Rw | Access::W1c => svd_rs::Access::ReadWrite,
        Access::Wo => svd_rs::Access::WriteOnly,
        Access::Ro | Access::Pop | Access::None => svd_rs::Access::ReadOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svd_parser::svd::{self as parsed, MaybeArray};

    fn parse(config: &HwConfig, side: Side, base: u64) -> parsed::Device {
        let text = svd(config, side, base).expect("the map is valid");
        svd_parser::parse_with_config(
            &text,
            &svd_parser::Config::default().validate_level(parsed::ValidateLevel::Strict),
        )
        .expect("the file is valid")
    }

    /// The registers as the file has them, each in the form in which the map has it.
    fn agrees(found: &parsed::Register, r: &Register, config: &HwConfig, side: Side) {
        let (info, count) = match found {
            MaybeArray::Single(info) => (info, 1),
            MaybeArray::Array(info, dim) => {
                assert_eq!(dim.dim_increment, 4);
                (info, dim.dim)
            }
        };
        assert_eq!(info.name.trim_end_matches("[%s]"), r.name);
        assert_eq!((info.address_offset, count), (r.offset.into(), r.count.into()));
        let (reads, writes) = match info.properties.access {
            Some(parsed::Access::ReadOnly) => (true, false),
            Some(parsed::Access::ReadWrite) => (true, true),
            Some(parsed::Access::WriteOnly) => (false, true),
            other => panic!("{}: {other:?}", r.name),
        };
        let access = side.access(r);
        assert_eq!((reads, writes), (access.reads(), access.writes()), "{}", r.name);
        let clears = info.modified_write_values == Some(parsed::ModifiedWriteValues::OneToClear);
        assert_eq!(clears, access == Access::W1c, "{}", r.name);
        assert_eq!(info.read_action.is_some(), access == Access::Pop, "{}", r.name);
        let reset = r.reset_value(config);
        assert_eq!(info.properties.reset_value, reset.map(u64::from), "{}", r.name);
        assert_eq!(info.properties.reset_mask, reset.is_none().then_some(0), "{}", r.name);
        assert_eq!(info.description, Some(prose(r)));

        let fields: Vec<_> = info
            .fields()
            .map(|f| {
                (f.name.as_str(), f.bit_range.offset, f.bit_range.width, f.description.clone())
            })
            .collect();
        let expected: Vec<_> =
            r.fields.iter().map(|f| (f.name, f.lsb, f.width, Some(f.doc.to_string()))).collect();
        assert_eq!(fields, expected, "{}", r.name);
    }

    #[test]
    fn it_parses_back_to_the_map() {
        for config in [HwConfig::LARGE, HwConfig::SMALL] {
            for (side, base) in [(Side::Monitor, 0x4000_0000), (Side::Host, 0)] {
                let device = parse(&config, side, base);
                let defaults = &device.default_register_properties;
                assert_eq!((defaults.size, defaults.reset_value), (Some(32), Some(0)));
                assert_eq!((device.width, device.address_unit_bits), (32, 8));
                assert_eq!(device.peripherals.len(), 1);
                let peripheral = &device.peripherals[0];
                assert_eq!(peripheral.base_address, base);
                let block = &peripheral.address_block.as_ref().expect("one block")[0];
                assert_eq!((block.offset, block.size), (0, WINDOW_BYTES.into()));

                let expected: Vec<_> =
                    ALL.iter().filter(|r| side.access(r) != Access::None).collect();
                let found: Vec<_> = peripheral.registers().collect();
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.into_iter().zip(expected) {
                    agrees(found, expected, &config, side);
                }
            }
        }
    }
}
