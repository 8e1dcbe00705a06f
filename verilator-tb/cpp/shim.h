// What one clock cycle takes from Rust and gives back. Mirrored field by field in src/verilated.rs.
#pragma once
#include <cstdint>

struct PortIn {
    uint8_t req_valid;
    uint8_t req_load;  // the request's payload below is new: copy it to the pins
    uint8_t req_op;
    uint8_t resp_ready;
    uint16_t req_tag;
    uint16_t req_pid;
    uint64_t req_va;
    uint64_t req_mask;
    uint8_t req_data[64];
};

struct BusIn {
    uint8_t valid;
    uint8_t write;
    uint16_t addr;
    uint32_t wdata;
};

struct Inputs {
    PortIn port[2];
    BusIn bus[2];
    uint8_t reset;
    uint8_t dram_cmd_ready;
    uint8_t dram_resp_valid;
    uint8_t dram_resp_load;  // the reply's payload below is new: copy it to the pins
    uint8_t dram_resp_last;
    uint8_t dram_resp_poison;
    uint16_t dram_resp_tag;
    uint8_t dram_resp_data[64];
};

struct PortOut {
    uint8_t req_ready;
    uint8_t resp_valid;
    uint8_t resp_status;
    uint16_t resp_tag;
    uint8_t resp_data[64];  // only meaningful with resp_valid
};

struct BusOut {
    uint8_t done;
    uint8_t error;
    uint32_t rdata;
};

struct Outputs {
    PortOut port[2];
    BusOut bus[2];
    uint8_t irq_monitor;
    uint8_t irq_host;
    uint8_t retire_valid;
    uint8_t retire_port;
    uint8_t retire_status;
    uint16_t retire_tag;
    uint8_t dram_resp_ready;
    uint8_t dram_cmd_valid;
    uint8_t dram_cmd_write;
    uint8_t dram_cmd_last;
    uint16_t dram_cmd_tag;
    uint64_t dram_cmd_line;
    uint64_t dram_cmd_mask;     // only meaningful with dram_cmd_valid and dram_cmd_write,
    uint8_t dram_cmd_data[64];  // as the data are
};
