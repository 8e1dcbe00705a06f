// What one clock cycle of the CXL link layer takes from Rust and gives back. Mirrored field by field in
// src/cxl/verilated_link.rs.
#pragma once
#include <cstdint>

struct LinkInputs {
    uint8_t reset;
    uint8_t phy_up;
    uint8_t rx_valid;
    uint8_t tx_ready;
    uint8_t req_ready;
    uint8_t rwd_ready;
    uint8_t ndr_valid;
    uint8_t ndr_ld_id;
    uint8_t drs_valid;
    uint8_t drs_ld_id;
    uint8_t drs_poison;
    uint8_t dev_load;
    uint16_t ndr_tag;
    uint16_t drs_tag;
    uint64_t link_control;
    uint8_t drs_data[64];
    uint8_t rx_flit[66];
};

struct LinkOutputs {
    uint8_t retrain;
    uint8_t tx_valid;
    uint8_t req_valid;
    uint8_t req_opcode;
    uint8_t req_ld_id;
    uint8_t rwd_valid;
    uint8_t rwd_opcode;
    uint8_t rwd_ld_id;
    uint8_t rwd_poison;
    uint8_t ndr_ready;
    uint8_t drs_ready;
    uint8_t fault;
    uint8_t ras_correctable;
    uint16_t req_tag;
    uint16_t rwd_tag;
    uint32_t ras_uncorrectable;
    uint64_t req_address;
    uint64_t rwd_address;
    uint64_t rwd_mask;
    uint8_t rwd_data[64];
    uint8_t link_status[12];
    uint8_t tx_flit[66];
};
