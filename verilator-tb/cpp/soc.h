// What one step of the soft core takes from Rust and gives back. Mirrored in src/soc/model.rs.
#pragma once
#include <cstdint>

struct SocIn {
    uint64_t now;
    uint32_t board_frames;
    uint32_t m_rdata;
    uint8_t core_edge;  // the core's clock rises in this step
    uint8_t bus_edge;   // the component's clock rises in this step
    uint8_t reset;
    uint8_t irq_monitor;
    uint8_t m_done;
    uint8_t m_error;
    uint8_t gpio_in;
    uint8_t tck;
    uint8_t tms;
    uint8_t tdi;
    uint8_t trst_n;
};

struct SocOut {
    uint64_t alarm;
    uint64_t deadline;
    uint32_t m_wdata;
    uint32_t pc;
    uint16_t m_addr;
    uint8_t m_valid;
    uint8_t m_write;
    uint8_t sleeping;
    uint8_t halted;
    uint8_t busy;
    uint8_t resetting;
    uint8_t gpio_out;
    uint8_t tdo;
};
