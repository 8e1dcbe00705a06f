// The Verilated SPI bridge behind a C interface, as in shim.cpp: one clock cycle is `ss_low`, which sets
// the inputs and samples the outputs, and `ss_high`, the clock edge.
#include "spi.h"

#include "Vspi_bridge.h"
#include "verilated.h"

#include <cstddef>
#include <memory>

struct SpiBridge {
    VerilatedContext context;
    std::unique_ptr<Vspi_bridge> top;
    SpiBridge() : top(new Vspi_bridge(&context)) {}
    ~SpiBridge() { top->final(); }
};

extern "C" {

SpiBridge* ss_new() noexcept {
    try {
        return new SpiBridge;
    } catch (...) {
        return nullptr;
    }
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

// Sizes and offsets of the shared structs, for the test that compares them with Rust's.
uint32_t ss_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {sizeof(SpiIn), offsetof(SpiIn, irq_monitor), sizeof(SpiOut), offsetof(SpiOut, irq)};
    uint32_t n = 0;
    for (size_t number : layout) {
        if (n < count) numbers[n] = number;
        ++n;
    }
    return n;
}

} // extern "C"
