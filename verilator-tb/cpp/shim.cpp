// The Verilated models behind one C interface: a handful of calls that cannot throw.
//
// One clock cycle is two calls. `sm_low` sets the inputs, settles the combinational logic with the
// clock low and samples the outputs: what stands on the pins in this cycle. `sm_high` is the clock
// edge that ends the cycle.
#include "shim.h"

#include "Vlarge_traced.h"
#include "Vlarge_traced___024root.h"
#include "Vsmall_traced.h"
#include "Vsmall_traced___024root.h"
#include "large_split.h"
#include "model.h"
#include "small_split.h"
#include "verilated_fst_c.h"

#include <cstring>

namespace {

// Wide pins are arrays of 32-bit words, lowest first; on a little-endian host their bytes stand in
// the order of the line's bytes.
template <class Pin> void to_pin(Pin& pin, const uint8_t (&bytes)[64]) {
    static_assert(sizeof(pin) == 64, "the DRAM port carries a whole line");
    std::memcpy(&pin, bytes, 64);
}

template <class Pin> void from_pin(uint8_t (&bytes)[64], const Pin& pin) {
    static_assert(sizeof(pin) == 64, "the DRAM port carries a whole line");
    std::memcpy(bytes, &pin, 64);
}

struct Dut {
    virtual ~Dut() = default;
    virtual void low(const Inputs& in, Outputs& out) = 0;
    virtual void high() = 0;
    virtual bool trace(const char* path) = 0;
    virtual void trace_close() = 0;
};

// A model that can be traced: whole, and evaluated as Verilator means it, also at the falling edge.
template <class Model> class Whole {
    Model top;

  public:
    explicit Whole(VerilatedContext* context) : top(context) {}

    auto& pins() { return *top.rootp; }

    void settle() {
        top.rootp->clock = 0;
        top.eval();
    }

    void edge() {
        top.rootp->clock = 1;
        top.eval();
    }

    void trace(VerilatedFstC* fst) { top.trace(fst, 99); }

    void final() { top.final(); }
};

template <class Model, bool TRACED> class Verilated_dut final : public Dut {
    VerilatedContext context;
    std::unique_ptr<VerilatedFstC> fst;
    std::unique_ptr<Model> top;
    uint64_t half_cycle = 0;

    static VerilatedContext* prepare(VerilatedContext& context) {
        context.threads(1);
        context.traceEverOn(TRACED);
        return &context;
    }

    void dump() {
        if constexpr (TRACED) {
            if (fst) fst->dump(half_cycle);
        }
        ++half_cycle;
    }

  public:
    Verilated_dut() : top(new Model(prepare(context))) {}

    ~Verilated_dut() override {
        trace_close();
        top->final();
    }

    bool trace(const char* path) override {
        if constexpr (TRACED) {
            trace_close();
            fst = std::make_unique<VerilatedFstC>();
            top->trace(fst.get());
            fst->open(path);
            if (fst->isOpen()) return true;
            fst.reset();
        }
        return false;
    }

    void trace_close() override {
        if (fst) fst->close();
        fst.reset();
    }

    void low(const Inputs& in, Outputs& out) override {
        auto& t = top->pins();
        t.reset = in.reset;

#define PORT_IN(P, I)                                                                              \
    t.P##_req_valid = in.port[I].req_valid;                                                        \
    t.P##_resp_ready = in.port[I].resp_ready;                                                      \
    if (in.port[I].req_load) {                                                                     \
        t.P##_req_op = in.port[I].req_op;                                                          \
        t.P##_req_tag = in.port[I].req_tag;                                                        \
        t.P##_req_pid = in.port[I].req_pid;                                                        \
        t.P##_req_va = in.port[I].req_va;                                                          \
        t.P##_req_mask = in.port[I].req_mask;                                                      \
        to_pin(t.P##_req_data, in.port[I].req_data);                                               \
    }
        PORT_IN(p0, 0)
        PORT_IN(p1, 1)
#undef PORT_IN

#define BUS_IN(B, I)                                                                               \
    t.B##_valid = in.bus[I].valid;                                                                 \
    t.B##_write = in.bus[I].write;                                                                 \
    t.B##_addr = in.bus[I].addr;                                                                   \
    t.B##_wdata = in.bus[I].wdata;
        BUS_IN(m, 0)
        BUS_IN(h, 1)
#undef BUS_IN

        t.dram_cmd_ready = in.dram_cmd_ready;
        t.dram_resp_valid = in.dram_resp_valid;
        if (in.dram_resp_load) {
            t.dram_resp_tag = in.dram_resp_tag;
            t.dram_resp_last = in.dram_resp_last;
            t.dram_resp_poison = in.dram_resp_poison;
            to_pin(t.dram_resp_data, in.dram_resp_data);
        }

        top->settle();
        dump();

#define PORT_OUT(P, I)                                                                             \
    out.port[I].req_ready = t.P##_req_ready;                                                       \
    out.port[I].resp_valid = t.P##_resp_valid;                                                     \
    if (t.P##_resp_valid) {                                                                        \
        out.port[I].resp_tag = t.P##_resp_tag;                                                     \
        out.port[I].resp_status = t.P##_resp_status;                                               \
        from_pin(out.port[I].resp_data, t.P##_resp_data);                                          \
    }
        PORT_OUT(p0, 0)
        PORT_OUT(p1, 1)
#undef PORT_OUT

#define BUS_OUT(B, I)                                                                              \
    out.bus[I].done = t.B##_done;                                                                  \
    out.bus[I].error = t.B##_error;                                                                \
    out.bus[I].rdata = t.B##_rdata;
        BUS_OUT(m, 0)
        BUS_OUT(h, 1)
#undef BUS_OUT

        out.irq_monitor = t.irq_monitor;
        out.irq_host = t.irq_host;
        out.retire_valid = t.retire_valid;
        out.retire_port = t.retire_port;
        out.retire_tag = t.retire_tag;
        out.retire_status = t.retire_status;
        out.dram_resp_ready = t.dram_resp_ready;
        out.dram_cmd_valid = t.dram_cmd_valid;
        if (t.dram_cmd_valid) {
            out.dram_cmd_write = t.dram_cmd_write;
            out.dram_cmd_last = t.dram_cmd_last;
            out.dram_cmd_tag = t.dram_cmd_tag;
            out.dram_cmd_line = t.dram_cmd_line;
            if (t.dram_cmd_write) {
                out.dram_cmd_mask = t.dram_cmd_mask;
                from_pin(out.dram_cmd_data, t.dram_cmd_data);
            }
        }
    }

    void high() override {
        top->edge();
        dump();
    }
};

template <class Untraced, class Traced> Dut* make(bool traced) {
    if (traced) return new Verilated_dut<Whole<Traced>, true>;
    return new Verilated_dut<Untraced, false>;
}

} // namespace

extern "C" {

// `configuration`: 0 large, 1 small. Null if there is no such one, or no memory.
Dut* sm_new(uint32_t configuration, uint8_t traced) noexcept {
    return or_null([=]() -> Dut* {
        switch (configuration) {
        case 0: return make<large_split, Vlarge_traced>(traced);
        case 1: return make<small_split, Vsmall_traced>(traced);
        default: return nullptr;
        }
    });
}

void sm_free(Dut* dut) noexcept { delete dut; }

void sm_low(Dut* dut, const Inputs* in, Outputs* out) noexcept { dut->low(*in, *out); }

void sm_high(Dut* dut) noexcept { dut->high(); }

// False if the model was built without tracing or the file cannot be written.
uint8_t sm_trace(Dut* dut, const char* path) noexcept {
    try {
        return dut->trace(path);
    } catch (...) {
        return false;
    }
}

void sm_trace_close(Dut* dut) noexcept { dut->trace_close(); }

uint32_t sm_layout(uint32_t* numbers, uint32_t count) noexcept {
    const size_t layout[] = {
        sizeof(Inputs),
        offsetof(Inputs, port[1].req_data),
        offsetof(Inputs, bus[1].wdata),
        offsetof(Inputs, reset),
        offsetof(Inputs, dram_resp_poison),
        offsetof(Inputs, dram_resp_tag),
        offsetof(Inputs, dram_resp_data),
        sizeof(Outputs),
        offsetof(Outputs, port[1].resp_data),
        offsetof(Outputs, bus[1].rdata),
        offsetof(Outputs, retire_tag),
        offsetof(Outputs, dram_cmd_valid),
        offsetof(Outputs, dram_cmd_line),
        offsetof(Outputs, dram_cmd_data),
    };
    return tell(layout, numbers, count);
}

} // extern "C"
