//! The component's registers on an SPI bus, for a memory monitor on a companion microcontroller.
//!
//! ```text
//!  sck, cs_n, mosi ─ two flip-flops ─ Bridge ─ monitor bus m_* of the component
//!  miso ──────────────────────────────┘  irq ─ irq_monitor
//! ```

pub mod bridge;

use rust_hdl::prelude::generate_verilog;

/// The Verilog of the bridge, module `spi_bridge`.
pub fn emit() -> String {
    crate::on_a_large_stack(|| {
        let mut bridge = bridge::Bridge::new();
        bridge.connect_pins();
        crate::renamed(&generate_verilog(&bridge), "spi_bridge")
    })
}
