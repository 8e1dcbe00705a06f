// What one clock cycle of the PCIe endpoint takes from Rust and gives back. Mirrored field by field in
// src/pcie/verilated.rs.
#pragma once
#include <cstdint>

struct PcieTlp {
    uint8_t valid;
    uint8_t first;
    uint8_t last;
    uint8_t bar;
    uint8_t dwords;
    uint8_t header[16];
    uint8_t data[64];
};

struct PcieNativeIn {
    uint8_t req_ready;
    uint8_t resp_valid;
    uint8_t resp_status;
    uint16_t resp_tag;
    uint8_t resp_data[64];
};

struct PcieNativeOut {
    uint8_t req_valid;
    uint8_t req_op;
    uint8_t resp_ready;
    uint16_t req_tag;
    uint16_t req_pid;
    uint64_t req_va;
    uint64_t req_mask;
    uint8_t req_data[64];
};

struct PcieIn {
    PcieTlp rx;
    PcieNativeIn port[2];
    uint32_t h_rdata;
    uint16_t cfg_id;
    uint8_t h_done;
    uint8_t h_error;
    uint8_t irq_host;
    uint8_t reset;
    uint8_t flr;
    uint8_t tx_ready;
    uint8_t cfg_max_payload;
    uint8_t cfg_max_read;
    uint8_t cfg_bus_master;
    uint8_t cfg_msix_enable;
    uint8_t cfg_msix_mask;
};

struct PcieOut {
    PcieTlp tx;
    PcieNativeOut port[2];
    uint32_t h_wdata;
    uint16_t h_addr;
    uint8_t h_valid;
    uint8_t h_write;
    uint8_t rx_ready;
    uint8_t flr_done;
};
