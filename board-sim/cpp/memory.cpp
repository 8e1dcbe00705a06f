// The Verilated memory (SDRAM controller and its test) behind a C interface that cannot throw.
#include "Vsdram.h"
#include "verilated.h"

#include <cstdint>
#include <memory>

namespace {
struct Memory_in {
    uint8_t reset, valid;
    uint16_t dq_in;
    uint32_t line;
};
struct Memory_out {
    uint8_t ready, took, gave_last;
    uint8_t cke, cs_n, ras_n, cas_n, we_n, ba, dqm, dq_drive;
    uint16_t a, dq_out;
};
struct Memory {
    VerilatedContext context;
    std::unique_ptr<Vsdram> top;
    Memory() {
        context.threads(1);
        top = std::make_unique<Vsdram>(&context);
    }
};
} // namespace

extern "C" {

Memory* sb_memory_new() noexcept {
    try {
        return new Memory;
    } catch (...) {
        return nullptr;
    }
}

void sb_memory_free(Memory* memory) noexcept { delete memory; }

// Reads only; what comes back is always taken. `took` and `gave_last` are what the edge took.
void sb_memory_cycle(Memory* memory, const Memory_in* in, Memory_out* out) noexcept {
    Vsdram& t = *memory->top;
    t.clock = 0;
    t.reset = in->reset;
    t.thorough = 0;
    t.cmd_valid = in->valid;
    t.cmd_line = in->line;
    t.cmd_last = 1;
    t.resp_ready = 1;
    t.dq_in = in->dq_in;
    t.eval();
    out->took = t.cmd_ready;
    out->gave_last = t.resp_valid && t.resp_last;
    t.clock = 1;
    t.eval();
    out->ready = t.ready;
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

} // extern "C"
