// The Verilated CXL.mem device behind one C interface; see shim.cpp for what the calls mean. Both
// halves of a cycle sample the outputs: what comes from registers is known before the next cycle's
// inputs are.
#include "cxl.h"

#include "Vcxl_mem.h"
#include "model.h"

#include <cstring>

namespace {

struct Dut : Model<Vcxl_mem> {
    void sample(CxlOutputs& out) {
        Vcxl_mem& t = *top;
        out.req_ready = t.req_ready;
        out.rwd_ready = t.rwd_ready;
        out.ndr_valid = t.ndr_valid;
        out.ndr_ld_id = t.ndr_ld_id;
        out.ndr_tag = t.ndr_tag;
        out.drs_valid = t.drs_valid;
        out.drs_ld_id = t.drs_ld_id;
        out.drs_poison = t.drs_poison;
        out.drs_tag = t.drs_tag;
        out.dev_load = t.dev_load;
        if (t.drs_valid) std::memcpy(out.drs_data, &t.drs_data, 64);
        out.p_req_valid = t.p_req_valid;
        if (t.p_req_valid) {
            out.p_req_op = t.p_req_op;
            out.p_req_tag = t.p_req_tag;
            out.p_req_pid = t.p_req_pid;
            out.p_req_va = t.p_req_va;
            out.p_req_mask = t.p_req_mask;
            std::memcpy(out.p_req_data, &t.p_req_data, 64);
        }
        out.p_resp_ready = t.p_resp_ready;
        out.irq = t.irq;
        out.error_fatal = t.error_fatal;
        out.error_nonfatal = t.error_nonfatal;
        out.error_correctable = t.error_correctable;
        out.link_control = t.link_control;
        out.bus[0] = {t.k_done, t.k_rdata};
        out.bus[1] = {t.r_done, t.r_rdata};
    }

    void low(const CxlInputs& in, CxlOutputs& out) {
        Vcxl_mem& t = *top;
        t.clock = 0;
        t.reset = in.reset;
        t.mem_enable = in.mem_enable;
        t.req_valid = in.req_valid;
        t.req_opcode = in.req_opcode;
        t.req_tag = in.req_tag;
        t.req_address = in.req_address;
        t.req_ld_id = in.req_ld_id;
        t.rwd_valid = in.rwd_valid;
        t.rwd_opcode = in.rwd_opcode;
        t.rwd_tag = in.rwd_tag;
        t.rwd_address = in.rwd_address;
        t.rwd_ld_id = in.rwd_ld_id;
        t.rwd_poison = in.rwd_poison;
        t.rwd_mask = in.rwd_mask;
        if (in.rwd_valid) std::memcpy(&t.rwd_data, in.rwd_data, 64);
        t.ndr_ready = in.ndr_ready;
        t.drs_ready = in.drs_ready;
        t.p_req_ready = in.p_req_ready;
        t.p_resp_valid = in.p_resp_valid;
        t.p_resp_tag = in.p_resp_tag;
        t.p_resp_status = in.p_resp_status;
        if (in.p_resp_valid) std::memcpy(&t.p_resp_data, in.p_resp_data, 64);
        t.ras_uncorrectable = in.ras_uncorrectable;
        t.ras_correctable = in.ras_correctable;
        std::memcpy(&t.link_status, in.link_status, 12);
        t.k_valid = in.bus[0].valid;
        t.k_write = in.bus[0].write;
        t.k_addr = in.bus[0].addr;
        t.k_wdata = in.bus[0].wdata;
        t.r_valid = in.bus[1].valid;
        t.r_write = in.bus[1].write;
        t.r_addr = in.bus[1].addr;
        t.r_wdata = in.bus[1].wdata;
        t.eval();
        sample(out);
    }

    void high(CxlOutputs& out) {
        top->clock = 1;
        top->eval();
        sample(out);
    }
};

} // namespace

extern "C" {

Dut* cx_new() noexcept {
    return or_null([] { return new Dut; });
}

void cx_free(Dut* dut) noexcept { delete dut; }

void cx_low(Dut* dut, const CxlInputs* in, CxlOutputs* out) noexcept { dut->low(*in, *out); }

void cx_high(Dut* dut, CxlOutputs* out) noexcept { dut->high(*out); }

uint32_t cx_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {
        sizeof(CxlInputs),
        offsetof(CxlInputs, req_tag),
        offsetof(CxlInputs, rwd_mask),
        offsetof(CxlInputs, p_resp_data),
        offsetof(CxlInputs, link_status),
        offsetof(CxlInputs, bus[1].wdata),
        sizeof(CxlOutputs),
        offsetof(CxlOutputs, irq),
        offsetof(CxlOutputs, link_control),
        offsetof(CxlOutputs, drs_data),
        offsetof(CxlOutputs, bus[1].rdata),
    };
    return tell(layout, numbers, count);
}

} // extern "C"
