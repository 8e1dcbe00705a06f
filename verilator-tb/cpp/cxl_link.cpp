// The Verilated CXL link layer behind one C interface. A cycle is `low`, which gives what stands on the
// pins, then `high`, the clock edge; whether messages are taken may be known only then.
#include "cxl_link.h"

#include "Vcxl_link.h"
#include "model.h"

#include <cstring>

namespace {

struct Dut : Model<Vcxl_link> {
    void low(const LinkInputs& in, LinkOutputs& out) {
        Vcxl_link& t = *top;
        t.clock = 0;
        t.reset = in.reset;
        t.phy_up = in.phy_up;
        t.rx_valid = in.rx_valid;
        if (in.rx_valid) std::memcpy(&t.rx_flit, in.rx_flit, 66);
        t.tx_ready = in.tx_ready;
        t.ndr_valid = in.ndr_valid;
        t.ndr_tag = in.ndr_tag;
        t.ndr_ld_id = in.ndr_ld_id;
        t.drs_valid = in.drs_valid;
        t.drs_tag = in.drs_tag;
        t.drs_ld_id = in.drs_ld_id;
        t.drs_poison = in.drs_poison;
        if (in.drs_valid) std::memcpy(&t.drs_data, in.drs_data, 64);
        t.dev_load = in.dev_load;
        t.link_control = in.link_control;
        t.eval();
        out.retrain = t.retrain;
        out.tx_valid = t.tx_valid;
        if (t.tx_valid) std::memcpy(out.tx_flit, &t.tx_flit, 66);
        out.req_valid = t.req_valid;
        out.req_opcode = t.req_opcode;
        out.req_tag = t.req_tag;
        out.req_address = t.req_address;
        out.req_ld_id = t.req_ld_id;
        out.rwd_valid = t.rwd_valid;
        out.rwd_opcode = t.rwd_opcode;
        out.rwd_tag = t.rwd_tag;
        out.rwd_address = t.rwd_address;
        out.rwd_ld_id = t.rwd_ld_id;
        out.rwd_poison = t.rwd_poison;
        out.rwd_mask = t.rwd_mask;
        if (t.rwd_valid) std::memcpy(out.rwd_data, &t.rwd_data, 64);
        out.ndr_ready = t.ndr_ready;
        out.drs_ready = t.drs_ready;
        out.fault = t.fault;
        out.ras_correctable = t.ras_correctable;
        out.ras_uncorrectable = t.ras_uncorrectable;
        std::memcpy(out.link_status, &t.link_status, 12);
    }

    void high(const LinkInputs& in) {
        top->req_ready = in.req_ready;
        top->rwd_ready = in.rwd_ready;
        top->clock = 1;
        top->eval();
    }
};

} // namespace

extern "C" {

Dut* cl_new() noexcept {
    return or_null([] { return new Dut; });
}

void cl_free(Dut* dut) noexcept { delete dut; }

void cl_low(Dut* dut, const LinkInputs* in, LinkOutputs* out) noexcept { dut->low(*in, *out); }

void cl_high(Dut* dut, const LinkInputs* in) noexcept { dut->high(*in); }

uint32_t cl_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {
        sizeof(LinkInputs),
        offsetof(LinkInputs, ndr_tag),
        offsetof(LinkInputs, rx_flit),
        sizeof(LinkOutputs),
        offsetof(LinkOutputs, req_tag),
        offsetof(LinkOutputs, rwd_mask),
        offsetof(LinkOutputs, link_status),
        offsetof(LinkOutputs, tx_flit),
    };
    return tell(layout, numbers, count);
}

} // extern "C"
