// A component in two models, as build/split.rs cuts it: what works in every cycle, and what mostly
// rests. The resting model is evaluated only in cycles in which it could change: its inputs did, or
// any of its registers at the last clock edge.
//
// Where the build script sees that the clock is the only thing that a model waits for, the model is
// evaluated through the functions that Verilator's own eval() calls. What eval() does besides is to
// find out whether the clock rose and whether anything is to be evaluated again, and to settle the
// inputs once more at the clock edge; here `settle` comes before each `edge`. The traced models are
// evaluated with eval(), and a test compares both.
#pragma once
#include <cstring>
#include <memory>

#include "verilated.h"

// A Verilated model that waits for its clock alone, and any model. CLASS is Verilator's class.
#define SINGLE_CLOCK_MODEL(CLASS)                                                                  \
    void CLASS##___024root___eval_ico(CLASS##___024root*);                                         \
    void CLASS##___024root___eval_nba(CLASS##___024root*);                                         \
    struct CLASS##_clocked final : CLASS {                                                         \
        explicit CLASS##_clocked(VerilatedContext* context) : CLASS(context) {                     \
            rootp->clock = 0;                                                                      \
            eval();                                                                                \
            rootp->__VicoTriggered[0] = rootp->__VnbaTriggered[0] = 1;                             \
        }                                                                                          \
        void settle() { CLASS##___024root___eval_ico(rootp); }                                     \
        void edge() { CLASS##___024root___eval_nba(rootp); }                                       \
    };

#define EVALUATED_MODEL(CLASS)                                                                     \
    struct CLASS##_clocked final : CLASS {                                                         \
        explicit CLASS##_clocked(VerilatedContext* context) : CLASS(context) { settle(); }         \
        void settle() {                                                                            \
            rootp->clock = 0;                                                                      \
            eval();                                                                                \
        }                                                                                          \
        void edge() {                                                                              \
            rootp->clock = 1;                                                                      \
            eval();                                                                                \
        }                                                                                          \
    };

// Carries pins from one model to the other, and notes whether any changed.
struct Wire {
    bool& changed;
    template <class Pin> static bool move(Pin& to, const Pin& from) {
        bool differs = to != from;
        to = from;
        return differs;
    }
    template <std::size_t N> static bool move(VlWide<N>& to, const VlWide<N>& from) {
        bool differs = std::memcmp(&to, &from, sizeof(to)) != 0;
        std::memcpy(&to, &from, sizeof(to));
        return differs;
    }
};
struct ToResting : Wire {
    template <class Pin> void in(const Pin& busy, Pin& resting) const { changed |= move(resting, busy); }
    template <class Pin> void out(const Pin&, const Pin&) const {}
};
struct ToBusy : Wire {
    template <class Pin> void in(const Pin&, const Pin&) const {}
    template <class Pin> void out(Pin& busy, const Pin& resting) const { changed |= move(busy, resting); }
};

// `Join::pins(busy, resting, wire)` tells the wire of every pin that both have.
template <class Busy, class Resting, class Join> class Split {
    Busy busy;
    Resting resting;
    bool active = true;

    template <class Direction> bool carry() {
        bool changed = false;
        Join::pins(*busy.rootp, *resting.rootp, Direction{{changed}});
        return changed;
    }

  public:
    explicit Split(VerilatedContext* context) : busy(context), resting(context) { carry<ToBusy>(); }

    // The pins.
    auto& pins() { return *busy.rootp; }

    void settle() {
        busy.settle();
        while (carry<ToResting>()) {
            active = true;
            resting.settle();
            if (!carry<ToBusy>()) break;
            busy.settle();
        }
    }

    void edge() {
        busy.edge();
        if (!active) return;
        resting.edge();
        active = resting.rootp->changed;
        carry<ToBusy>();
    }

    void final() {
        busy.final();
        resting.final();
    }
};
