// The Verilated SPI bridge behind a C interface, as in shim.cpp: one clock cycle is `ss_low`, which sets
// the inputs and samples the outputs, and `ss_high`, the clock edge.
#include "spi.h"

#include "Vspi_bridge.h"
#include "model.h"

using SpiBridge = Model<Vspi_bridge>;

extern "C" {

SpiBridge* ss_new() noexcept {
    return or_null([] { return new SpiBridge; });
}

void ss_free(SpiBridge* bridge) noexcept { delete bridge; }

void ss_low(SpiBridge* bridge, const SpiIn* in, SpiOut* out) noexcept {
    Vspi_bridge& t = *bridge->top;
    t.clock = 0;
    t.reset = in->reset;
    t.sck = in->sck;
    t.cs_n = in->cs_n;
    t.mosi = in->mosi;
    t.m_done = in->m_done;
    t.m_error = in->m_error;
    t.m_rdata = in->m_rdata;
    t.irq_monitor = in->irq_monitor;
    t.eval();
    out->miso = t.miso;
    out->irq = t.irq;
    out->m_valid = t.m_valid;
    out->m_write = t.m_write;
    out->m_addr = t.m_addr;
    out->m_wdata = t.m_wdata;
}

void ss_high(SpiBridge* bridge) noexcept {
    bridge->top->clock = 1;
    bridge->top->eval();
}

uint32_t ss_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {sizeof(SpiIn), offsetof(SpiIn, irq_monitor), sizeof(SpiOut), offsetof(SpiOut, irq)};
    return tell(layout, numbers, count);
}

} // extern "C"
