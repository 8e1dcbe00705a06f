// What one clock cycle of the CXL.mem device takes from Rust and gives back. Mirrored field by field
// in src/cxl/verilated.rs.
#pragma once
#include <cstdint>

struct WordIn {
    uint8_t valid;
    uint8_t write;
    uint32_t addr;
    uint32_t wdata;
};

struct WordOut {
    uint8_t done;
    uint32_t rdata;
};

struct CxlInputs {
    uint8_t reset;
    uint8_t mem_enable;
    uint8_t req_valid;
    uint8_t req_opcode;
    uint8_t req_ld_id;
    uint8_t rwd_valid;
    uint8_t rwd_opcode;
    uint8_t rwd_ld_id;
    uint8_t rwd_poison;
    uint8_t ndr_ready;
    uint8_t drs_ready;
    uint8_t p_req_ready;
    uint8_t p_resp_valid;
    uint8_t p_resp_status;
    uint16_t req_tag;
    uint16_t rwd_tag;
    uint16_t p_resp_tag;
    uint64_t req_address;
    uint64_t rwd_address;
    uint64_t rwd_mask;
    uint8_t rwd_data[64];
    uint8_t p_resp_data[64];
    uint32_t ras_uncorrectable;
    uint8_t ras_correctable;
    uint8_t link_status[12];
    WordIn bus[2];  // the monitor's, the host's
};

struct CxlOutputs {
    uint8_t req_ready;
    uint8_t rwd_ready;
    uint8_t ndr_valid;
    uint8_t ndr_ld_id;
    uint8_t drs_valid;
    uint8_t drs_ld_id;
    uint8_t drs_poison;
    uint8_t dev_load;
    uint8_t p_req_valid;
    uint8_t p_req_op;
    uint8_t p_resp_ready;
    uint8_t irq;
    uint8_t error_fatal;
    uint8_t error_nonfatal;
    uint8_t error_correctable;
    uint16_t ndr_tag;
    uint16_t drs_tag;
    uint16_t p_req_tag;
    uint16_t p_req_pid;
    uint64_t p_req_va;
    uint64_t p_req_mask;
    uint64_t link_control;
    uint8_t p_req_data[64];
    uint8_t drs_data[64];
    WordOut bus[2];
};
