// The Verilated board behind a C interface that cannot throw. A cycle: inputs, settle, clock edges.
#include "Vulx3s.h"
#include "Vulx3s___024root.h"
#include "verilated.h"

#include <cstdint>
#include <memory>

namespace {
struct Pins_in {
    uint8_t reset, rx, thorough, core_edge, tck, tms, tdi;
    uint16_t dq_in;
};
struct Pins_out {
    uint8_t tx, leds, cke, cs_n, ras_n, cas_n, we_n, ba, dqm, dq_drive, tdo;
    uint16_t a, dq_out;
};
struct Board {
    VerilatedContext context;
    std::unique_ptr<Vulx3s> top;
    Board() {
        context.threads(1);
        top = std::make_unique<Vulx3s>(&context);
    }
    ~Board() {
        top->final();
        // The soft core has scopes, and a scope signs off at the thread's context.
        Verilated::threadContextp(&context);
    }
};
} // namespace

extern "C" {

Board* sb_new() noexcept {
    try {
        return new Board;
    } catch (...) {
        return nullptr;
    }
}

void sb_free(Board* board) noexcept { delete board; }

void sb_cycle(Board* board, const Pins_in* in, Pins_out* out) noexcept {
    Vulx3s& t = *board->top;
    t.clock = 0;
    t.core_clock = 0;
    t.tck = in->tck;
    t.tms = in->tms;
    t.tdi = in->tdi;
    t.reset = in->reset;
    t.rx = in->rx;
    t.thorough = in->thorough;
    t.dq_in = in->dq_in;
    t.eval();
    t.clock = 1;
    t.core_clock = in->core_edge;
    t.eval();
    out->tdo = t.tdo;
    out->tx = t.tx;
    out->leds = t.leds;
    out->cke = t.cke;
    out->cs_n = t.cs_n;
    out->ras_n = t.ras_n;
    out->cas_n = t.cas_n;
    out->we_n = t.we_n;
    out->ba = t.ba;
    out->dqm = t.dqm;
    out->dq_drive = t.dq_drive;
    out->a = t.a;
    out->dq_out = t.dq_out;
}

// The soft core's memory, lowest word first, and how many words it has.
uint32_t* sb_ram(Board* board, uint32_t* words) noexcept {
    auto& mem = board->top->rootp->SOC_RAM;
    *words = sizeof(mem) / 4;
    return reinterpret_cast<uint32_t*>(&mem[0]);
}

} // extern "C"
