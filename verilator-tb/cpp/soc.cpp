// The Verilated soft core behind a C interface, a model of its own beside the component's.
#include "soc.h"

#include "Vsoc.h"
#include "Vsoc___024root.h"
#include "model.h"

namespace {

struct Soc {
    VerilatedContext context;
    std::unique_ptr<Vsoc> top;

    Soc() {
        context.threads(1);
        top = std::make_unique<Vsoc>(&context, "soc");
    }
    ~Soc() {
        top->final();
        // Ibex has scopes, and a scope signs off at the thread's context, which is that of whatever
        // model the thread ran last: a model that may be gone.
        Verilated::threadContextp(&context);
    }

    void step(const SocIn& in, SocOut& out) {
        Vsoc& pins = *top;
        pins.now = in.now;
        pins.board_frames = in.board_frames;
        pins.core_reset = in.reset;
        pins.bus_reset = in.reset;
        pins.irq_monitor = in.irq_monitor;
        pins.m_done = in.m_done;
        pins.m_error = in.m_error;
        pins.m_rdata = in.m_rdata;
        pins.gpio_in = in.gpio_in;
        pins.tck = in.tck;
        pins.tms = in.tms;
        pins.tdi = in.tdi;
        pins.trst_n = in.trst_n;
        pins.core_clock = in.core_edge;
        pins.bus_clock = in.bus_edge;
        // What the inputs change settles before the edges are looked at.
        pins.eval();
        pins.core_clock = 0;
        pins.bus_clock = 0;
        pins.eval();
        out.alarm = pins.alarm;
        out.deadline = pins.deadline;
        out.m_wdata = pins.m_wdata;
        out.pc = pins.pc;
        out.m_addr = pins.m_addr;
        out.m_valid = pins.m_valid;
        out.m_write = pins.m_write;
        out.sleeping = pins.sleeping;
        out.halted = pins.halted;
        out.busy = pins.busy;
        out.resetting = pins.resetting;
        out.gpio_out = pins.gpio_out;
        out.tdo = pins.tdo;
    }
};

} // namespace

extern "C" {

Soc* soc_new() noexcept {
    return or_null([] { return new Soc; });
}

void soc_free(Soc* soc) noexcept { delete soc; }

void soc_step(Soc* soc, const SocIn* in, SocOut* out) noexcept { soc->step(*in, *out); }

// The core's memory, lowest word first, and how many words it has.
uint32_t* soc_ram(Soc* soc, uint32_t* words) noexcept {
    auto& mem = soc->top->rootp->SOC_RAM;
    *words = sizeof(mem) / 4;
    return reinterpret_cast<uint32_t*>(&mem[0]);
}

uint32_t soc_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {
        sizeof(SocIn),
        offsetof(SocIn, m_rdata),
        offsetof(SocIn, core_edge),
        offsetof(SocIn, trst_n),
        sizeof(SocOut),
        offsetof(SocOut, m_addr),
        offsetof(SocOut, m_valid),
        offsetof(SocOut, tdo),
    };
    return tell(layout, numbers, count);
}

} // extern "C"
