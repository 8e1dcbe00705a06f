// The Verilated PCIe endpoint (on its plain TLP interface) behind a C interface, as in shim.cpp: one
// clock cycle is `sp_low`, which sets the inputs and samples the outputs, and `sp_high`, the clock edge.
#include "pcie.h"

#include "Vpcie_plain.h"
#include "model.h"

#include <cstring>

using Endpoint = Model<Vpcie_plain>;

extern "C" {

Endpoint* sp_new() noexcept {
    return or_null([] { return new Endpoint; });
}

void sp_free(Endpoint* endpoint) noexcept { delete endpoint; }

void sp_low(Endpoint* endpoint, const PcieIn* in, PcieOut* out) noexcept {
    Vpcie_plain& t = *endpoint->top;
    t.clock = 0;
    t.reset = in->reset;
    t.flr = in->flr;
    t.cfg_id = in->cfg_id;
    t.cfg_max_payload = in->cfg_max_payload;
    t.cfg_max_read = in->cfg_max_read;
    t.cfg_bus_master = in->cfg_bus_master;
    t.cfg_msix_enable = in->cfg_msix_enable;
    t.cfg_msix_mask = in->cfg_msix_mask;
    t.tx_nonposted_ok = 1;
    t.rx_valid = in->rx.valid;
    t.rx_first = in->rx.first;
    t.rx_last = in->rx.last;
    t.rx_bar = in->rx.bar;
    t.rx_dwords = in->rx.dwords;
    std::memcpy(&t.rx_header, in->rx.header, 16);
    std::memcpy(&t.rx_data, in->rx.data, 64);
    t.tx_ready = in->tx_ready;
    t.h_done = in->h_done;
    t.h_error = in->h_error;
    t.h_rdata = in->h_rdata;
    t.irq_host = in->irq_host;
#define NATIVE_IN(P, I)                                                                            \
    t.P##_req_ready = in->port[I].req_ready;                                                       \
    t.P##_resp_valid = in->port[I].resp_valid;                                                     \
    t.P##_resp_status = in->port[I].resp_status;                                                   \
    t.P##_resp_tag = in->port[I].resp_tag;                                                         \
    std::memcpy(&t.P##_resp_data, in->port[I].resp_data, 64);
    NATIVE_IN(w, 0)
    NATIVE_IN(d, 1)
#undef NATIVE_IN
    t.eval();
    out->rx_ready = t.rx_ready;
    out->flr_done = t.flr_done;
    out->tx.valid = t.tx_valid;
    out->tx.first = t.tx_first;
    out->tx.last = t.tx_last;
    out->tx.dwords = t.tx_dwords;
    std::memcpy(out->tx.header, &t.tx_header, 16);
    std::memcpy(out->tx.data, &t.tx_data, 64);
    out->h_valid = t.h_valid;
    out->h_write = t.h_write;
    out->h_addr = t.h_addr;
    out->h_wdata = t.h_wdata;
#define NATIVE_OUT(P, I)                                                                           \
    out->port[I].req_valid = t.P##_req_valid;                                                      \
    out->port[I].req_op = t.P##_req_op;                                                            \
    out->port[I].req_tag = t.P##_req_tag;                                                          \
    out->port[I].req_pid = t.P##_req_pid;                                                          \
    out->port[I].req_va = t.P##_req_va;                                                            \
    out->port[I].req_mask = t.P##_req_mask;                                                        \
    std::memcpy(out->port[I].req_data, &t.P##_req_data, 64);                                       \
    out->port[I].resp_ready = t.P##_resp_ready;
    NATIVE_OUT(w, 0)
    NATIVE_OUT(d, 1)
#undef NATIVE_OUT
}

void sp_high(Endpoint* endpoint) noexcept {
    endpoint->top->clock = 1;
    endpoint->top->eval();
}

uint32_t sp_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {
        sizeof(PcieIn),          offsetof(PcieIn, port[1].resp_data), offsetof(PcieIn, cfg_msix_mask),
        offsetof(PcieIn, cfg_id), sizeof(PcieOut),                    offsetof(PcieOut, port[1].req_data),
        offsetof(PcieOut, flr_done), offsetof(PcieOut, h_addr),
    };
    return tell(layout, numbers, count);
}

} // extern "C"
