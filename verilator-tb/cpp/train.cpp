// The load that the compiler learns a model's branches from. The build script compiles it with the
// instrumented model, runs it once, and compiles the model again with what was counted: a tenth faster.
//
// One process's hits on both ports, as many as are taken; one request in sixteen is of another
// process, whose pages miss and are written for the first time. The memory answers after 20 cycles.
#include "train.h"  // written by the build script: what stands in the page table, registers, pages

#include MODEL_HEADER
#include "verilated.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <unordered_map>

namespace {

constexpr uint64_t CYCLES = 150'000;
constexpr uint64_t LATENCY = 20;

using Line = std::array<uint8_t, 64>;

struct Reply {
    uint64_t due;
    uint16_t tag;
    Line data;
};

std::unordered_map<uint64_t, Line> memory;
std::deque<Reply> replies;
std::mt19937_64 dice{1};
uint64_t cycle = 0;
uint64_t answered = 0;

// Puts a request on a port's pins unless one stands there that was not taken.
template <class Valid, class Op, class Tag, class Pid, class Va, class Mask>
void offer(Valid& valid, Op& op, Tag& tag, Pid& pid, Va& va, Mask& mask, bool taken, bool storm) {
    if (valid && !taken) return;
    const uint64_t number = dice();
    const bool cold = storm && number % 16 == 0;
    const uint64_t page = (number >> 8) % (cold ? COLD_PAGES : HOT_PAGES);
    valid = 1;
    op = (number >> 4) % 4 == 0 ? WRITE : READ;
    tag = number >> 40 & 0xffff;
    pid = cold ? COLD_PID : HOT_PID;
    va = (page << 12) + ((number >> 32) % 64) * 64;
    mask = ~uint64_t{0};
}

} // namespace

int main() {
    VerilatedContext context;
    context.threads(1);
    const auto top = std::make_unique<MODEL>(&context);
    auto& t = top->pins();
    for (const auto& entry : TABLE) std::memcpy(memory[entry.line].data(), entry.bytes, 64);

    bool taken[2] = {true, true};
    const auto clock = [&] {
        t.reset = cycle < 4;
        t.dram_cmd_ready = 1;
        t.dram_resp_valid = !replies.empty() && replies.front().due <= cycle;
        t.dram_resp_last = 1;
        if (t.dram_resp_valid) {
            t.dram_resp_tag = replies.front().tag;
            std::memcpy(&t.dram_resp_data, replies.front().data.data(), 64);
        }
        t.p0_resp_ready = t.p1_resp_ready = 1;
        top->settle();
        taken[0] = t.p0_req_ready;
        taken[1] = t.p1_req_ready;
        answered += t.p0_resp_valid + t.p1_resp_valid;
        const bool replied = t.dram_resp_valid && t.dram_resp_ready;
        if (t.dram_cmd_valid && !t.reset) {
            Line& line = memory[t.dram_cmd_line];
            if (t.dram_cmd_write) {
                Line data;
                std::memcpy(data.data(), &t.dram_cmd_data, 64);
                for (unsigned i = 0; i < 64; ++i)
                    if (t.dram_cmd_mask >> i & 1) line[i] = data[i];
            }
            replies.push_back({cycle + LATENCY, static_cast<uint16_t>(t.dram_cmd_tag), line});
        }
        if (replied) replies.pop_front();
        const bool done = t.m_done;
        top->edge();
        ++cycle;
        return done;
    };

    for (unsigned i = 0; i < 3000; ++i) clock();  // reset, and the TLB's flush
    for (const auto& access : REGISTERS) {
        t.m_valid = t.m_write = 1;
        t.m_addr = access.offset;
        t.m_wdata = access.value;
        for (unsigned patience = 0; !clock(); ++patience)
            if (patience > 1000) return std::fprintf(stderr, "a register write is not done\n"), 1;
        t.m_valid = 0;
        clock();
    }
    for (uint64_t end = cycle + CYCLES; cycle < end;) {
        const bool storm = cycle > end - CYCLES / 4;
        offer(t.p0_req_valid, t.p0_req_op, t.p0_req_tag, t.p0_req_pid, t.p0_req_va, t.p0_req_mask,
              taken[0], storm);
        offer(t.p1_req_valid, t.p1_req_op, t.p1_req_tag, t.p1_req_pid, t.p1_req_va, t.p1_req_mask,
              taken[1], storm);
        clock();
    }
    top->final();
    // A load that the component did not take would teach the compiler nonsense.
    if (answered < CYCLES / 2) {
        std::fprintf(stderr, "only %llu requests were answered\n",
                     static_cast<unsigned long long>(answered));
        return 1;
    }
    return 0;
}
