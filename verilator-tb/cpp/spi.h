// What one clock cycle of the SPI bridge takes from Rust and gives back. Mirrored field by field in
// src/spi/verilated.rs.
#pragma once
#include <cstdint>

struct SpiIn {
    uint32_t m_rdata;
    uint8_t reset;
    uint8_t sck;
    uint8_t cs_n;
    uint8_t mosi;
    uint8_t m_done;
    uint8_t m_error;
    uint8_t irq_monitor;
};

struct SpiOut {
    uint32_t m_wdata;
    uint16_t m_addr;
    uint8_t m_valid;
    uint8_t m_write;
    uint8_t miso;
    uint8_t irq;
};
