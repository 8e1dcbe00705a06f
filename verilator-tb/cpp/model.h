// What the shims of all Verilated models share.
#pragma once
#include "verilated.h"

#include <cstddef>
#include <cstdint>
#include <memory>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wide pins are copied bytewise");

// A model that is evaluated in the thread that calls, with a context of its own.
template <class Top> struct Model {
    VerilatedContext context;
    std::unique_ptr<Top> top;

    static VerilatedContext* prepare(VerilatedContext& context) {
        context.threads(1);
        return &context;
    }

    Model() : top(new Top(prepare(context))) {}
    ~Model() { top->final(); }
};

// What `make` makes; null if it throws, as for want of memory.
template <class Make> auto or_null(Make make) noexcept -> decltype(make()) {
    try {
        return make();
    } catch (...) {
        return nullptr;
    }
}

// Sizes and offsets of the structs that a shim shares with Rust, for the test that compares them. Writes
// at most `count` numbers and returns how many there are.
template <size_t N>
uint32_t tell(const size_t (&layout)[N], uint32_t* numbers, uint32_t count) noexcept {
    for (uint32_t n = 0; n < N && n < count; ++n) numbers[n] = layout[n];
    return N;
}
