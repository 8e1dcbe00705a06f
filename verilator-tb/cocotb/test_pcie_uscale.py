"""The PCIe endpoint through its UltraScale+ shim, against cocotbext-pcie's root complex and its model of
the hard block. The other side of the endpoint is native.py."""

import itertools
import logging
import os
import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer, with_timeout
from cocotbext.axi import AxiStreamBus
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpType
from cocotbext.pcie.core.utils import PcieId
from cocotbext.pcie.xilinx.us import UltraScalePlusPcieDevice

import native

# The models tell every TLP, and every absent device on the bus.
logging.getLogger("cocotb").setLevel(logging.ERROR)
logging.getLogger("cocotb.regression").setLevel(logging.INFO)
logging.getLogger("py.warnings").setLevel(logging.ERROR)

SEED = int(os.environ.get("COCOTB_RANDOM_SEED", os.environ.get("RANDOM_SEED", "1")))
# Of `splitmem_abi::pcie`.
OWN, WINDOWS, MSIX, PBA = 0x1000, 0x2000, 0x3000, 0x3800
EP_ID, DMA_CONTROL, DMA_STATUS = OWN + 0x00, OWN + 0x0C, OWN + 0x10
SQ_LO, SQ_HI, CQ_LO, CQ_HI = OWN + 0x14, OWN + 0x18, OWN + 0x1C, OWN + 0x20
RING_LOG2, SQ_TAIL, CQ_HEAD, TIMEOUT = OWN + 0x24, OWN + 0x28, OWN + 0x2C, OWN + 0x30
ERR_UNSUPPORTED, ERR_POISONED, ERR_MALFORMED = OWN + 0x40, OWN + 0x44, OWN + 0x48
ERR_WINDOW, ERR_LINES, ERR_UNEXPECTED, ERR_HOST = OWN + 0x4C, OWN + 0x50, OWN + 0x54, OWN + 0x58
NOP, READ, WRITE, FETCH_ADD, COMPARE_SWAP = range(5)
BAD_COMMAND, HOST_REFUSED, HOST_POISONED, HOST_TIMEOUT = 0x10, 0x11, 0x12, 0x13
SPAN = 1 << 28
PID, BASE = 7, 0x12_3456_7000


class Bench:
    def __init__(self, dut, payload=256):
        self.dut = dut
        self.rng = random.Random(SEED)
        self.rc = RootComplex()
        self.rc.max_payload_size = {128: 0, 256: 1, 512: 2}[payload]
        self.dev = UltraScalePlusPcieDevice(
            pcie_generation=3, pcie_link_width=16, user_clk_frequency=250e6, alignment="dword",
            pf_count=1, max_payload_size=1024, enable_client_tag=True, enable_extended_tag=False,
            pf0_msix_enable=True, pf0_msix_table_size=3, pf0_msix_table_bir=0, pf0_msix_table_offset=MSIX,
            pf0_msix_pba_bir=0, pf0_msix_pba_offset=PBA,
            user_clk=dut.clock, user_reset=dut.reset,
            rq_bus=AxiStreamBus.from_prefix(dut, "m_axis_rq"), rc_bus=AxiStreamBus.from_prefix(dut, "s_axis_rc"),
            cq_bus=AxiStreamBus.from_prefix(dut, "s_axis_cq"), cc_bus=AxiStreamBus.from_prefix(dut, "m_axis_cc"),
            pcie_cq_np_req=dut.pcie_cq_np_req,
            cfg_max_payload=dut.cfg_max_payload, cfg_max_read_req=dut.cfg_max_read_req,
            cfg_function_status=dut.cfg_function_status, cfg_bus_number=dut.cfg_bus_number,
            cfg_interrupt_msix_enable=dut.cfg_interrupt_msix_enable,
            cfg_interrupt_msix_mask=dut.cfg_interrupt_msix_mask,
            cfg_flr_in_process=dut.cfg_flr_in_process, cfg_flr_done=dut.cfg_flr_done,
        )
        self.rc.make_port().connect(self.dev)
        self.function = self.dev.functions[0]
        self.function.configure_bar(0, 1 << 14)
        # Half of BAR2: the model does not find a BAR of 4 GiB or more.
        self.function.configure_bar(2, 1 << 31, ext=True, prefetch=True)
        dut.irq_host.value = 0
        # Room for non-posted requests, which the model never tells.
        dut.pcie_tfc_nph_av.value = 15
        self.memory = native.Memory()
        self.ports = [native.Port(dut, name, self.memory, self.rng) for name in "wd"]
        self.bus = native.HostBus(dut, {0x000: 0x4D4C5053, 0x010: 1, 0x02C: 0})
        self.interrupts = [0] * 4

    async def start(self):
        for port in self.ports:
            cocotb.start_soon(port.run())
        cocotb.start_soon(self.bus.run())
        await Timer(20, "ns")
        if self.dut.reset.value:
            await FallingEdge(self.dut.reset)
        await Timer(200, "ns")
        await self.rc.enumerate()
        self.pci = self.rc.find_device(self.function.pcie_id)
        await self.pci.enable_device()
        await self.pci.set_master()
        await self.pci.alloc_irq_vectors(4, 4)
        for vector in range(4):
            self.pci.request_irq(vector, self.count(vector))
        self.bar0, self.bar2 = self.pci.bar_window[0], self.pci.bar_window[2]
        while not await self.reg(DMA_STATUS) & 2:
            pass

    def count(self, vector):
        async def handler():
            self.interrupts[vector] += 1
        return handler

    async def reg(self, address, value=None):
        if value is None:
            return await with_timeout(self.bar0.read_dword(address), 100, "us")
        await self.bar0.write_dword(address, value)

    async def window(self, slot, pid, va, pages, read=True, write=True):
        words = [pid | read << 30 | write << 31, va >> 12 & 0xFFFFFFFF, va >> 44, pages]
        for i, word in enumerate(words):
            await self.reg(WINDOWS + 16 * slot + 4 * i, word)

    def stall(self, much):
        """Random back-pressure on every stream, and slow, unwilling native ports."""
        for i, end in enumerate([self.dev.cq_source, self.dev.cc_sink, self.dev.rq_sink, self.dev.rc_source]):
            rng = random.Random(SEED + i)
            end.set_pause_generator(rng.random() < much for _ in itertools.count())
        for port in self.ports:
            port.stall, port.delay = much, 60

    async def quiet(self):
        """Posted writes have arrived: a read comes behind them."""
        await self.reg(EP_ID)
        await Timer(2, "us")

    async def rings(self, log2=4):
        self.entries = 1 << log2
        self.sq = self.rc.mem_pool.alloc_region(self.entries * 64)
        self.cq = self.rc.mem_pool.alloc_region(self.entries * 16)
        self.cq[0 : self.entries * 16] = bytes(self.entries * 16)
        self.tail = self.head = 0
        await self.reg(DMA_CONTROL, 0)
        sq, cq = self.sq.get_absolute_address(0), self.cq.get_absolute_address(0)
        for address, value in [(SQ_LO, sq & 0xFFFFFFFF), (SQ_HI, sq >> 32), (CQ_LO, cq & 0xFFFFFFFF),
                               (CQ_HI, cq >> 32), (RING_LOG2, log2), (SQ_TAIL, 0), (CQ_HEAD, 0),
                               (DMA_CONTROL, 1)]:
            await self.reg(address, value)

    def put(self, op, ident=0, pid=PID, lines=0, va=0, host=0, operand=2**64 - 1, expected=0, listed=False):
        entry = bytes([op, listed]) + ident.to_bytes(2, "little") + pid.to_bytes(2, "little")
        entry += lines.to_bytes(2, "little")
        for word in (va, host, operand, expected):
            entry += word.to_bytes(8, "little")
        at = self.tail % self.entries * 64
        self.sq[at : at + 64] = entry.ljust(64, b"\0")
        self.tail += 1

    async def ring(self):
        await self.reg(SQ_TAIL, self.tail & 0xFFFF)

    async def take(self, count, limit=4000):
        """The next completions, as {id: (status, value)}."""
        ends = {}
        for _ in range(count):
            at = self.head % self.entries * 16
            phase = ~(self.head // self.entries) & 1
            for _ in range(limit):
                entry = bytes(self.cq[at : at + 16])
                if entry[3] >> 7 == phase:
                    break
                await Timer(20, "ns")
            else:
                raise AssertionError(f"no completion {self.head}")
            ends[int.from_bytes(entry[:2], "little")] = (entry[2], int.from_bytes(entry[8:], "little"))
            self.head += 1
        await self.reg(CQ_HEAD, self.head & 0xFFFF)
        return ends

    def host(self, size):
        region = self.rc.mem_pool.alloc_region(size)
        return region, region.get_absolute_address(0)


async def bench(dut, **more):
    b = Bench(dut, **more)
    await b.start()
    return b


@cocotb.test(timeout_time=150, timeout_unit="us")
async def enumerates_and_reads_registers(dut):
    b = await bench(dut)
    assert b.bar0.size == 1 << 14 and b.bar2.size == 1 << 31
    assert await b.reg(EP_ID) == 0x50455053
    assert await b.reg(0) == 0x4D4C5053, "the component's own page"
    await b.reg(0x02C, 0xABCD)
    assert await b.reg(0x02C) == 0xABCD and b.bus.registers[0x02C] == 0xABCD
    assert await b.reg(0xFFC) == 0, "nothing stands there"
    # Runs of registers in one TLP, aligned or not, across a line.
    run = await b.bar0.read(OWN + 0x30, 32)
    assert int.from_bytes(run[:4], "little") == 12_500_000
    assert (await b.bar0.read(OWN + 1, 6))[:3] == b"PEP"
    # A register has no byte enables.
    await b.bar0.write(TIMEOUT + 1, b"\xff")
    assert await b.reg(TIMEOUT) == 12_500_000 and await b.reg(ERR_UNSUPPORTED) == 1


async def window_traffic(b, count, longest):
    rng = b.rng
    await b.window(3, PID, BASE, 4)
    shadow = bytearray(4 * 4096)
    for _ in range(count):
        size = rng.choice([rng.randint(1, 16), rng.randint(1, longest)])
        at = rng.randrange(len(shadow) - size)
        if rng.random() < 0.5:
            data = rng.randbytes(size)
            shadow[at : at + size] = data
            await b.bar2.write(3 * SPAN + at, data)
        else:
            got = await with_timeout(b.bar2.read(3 * SPAN + at, size), 100, "us")
            assert got == shadow[at : at + size], f"{size} bytes at {at:#x}"
    await b.quiet()
    assert b.memory.read(PID, BASE, len(shadow)) == shadow


@cocotb.test(timeout_time=150, timeout_unit="us")
async def window_of_all_sizes_and_alignments(dut):
    b = await bench(dut)
    await b.window(3, PID, BASE, 4)
    for at in range(0, 8):
        for size in range(1, 10):
            data = b.rng.randbytes(size)
            await b.bar2.write(3 * SPAN + 60 + at, data)
            assert await b.bar2.read(3 * SPAN + 60 + at, size) == data, f"{size} at {at}"
    await b.bar2.write(3 * SPAN, bytes(4 * 4096))
    await window_traffic(b, 60, 1500)


@cocotb.test(timeout_time=150, timeout_unit="us")
async def window_under_back_pressure(dut):
    b = await bench(dut, payload=128)
    b.stall(0.4)
    await window_traffic(b, 40, 700)


@cocotb.test(timeout_time=150, timeout_unit="us")
async def outside_of_windows(dut):
    b = await bench(dut)
    await b.window(0, PID, BASE, 1, write=False)
    b.memory.write(PID, BASE, b"read only")
    assert await b.bar2.read(0, 9) == b"read only"
    await b.bar2.write(0, b"nothing")
    await b.quiet()
    assert b.memory.read(PID, BASE, 9) == b"read only" and await b.reg(ERR_WINDOW) == 1
    for at in (4096, SPAN, 6 * SPAN):
        tlp = await answer(b, at, 4)
        assert tlp.status == CplStatus.UR, at
    b.memory.failing[(PID, BASE + 64)] = native.NOT_MAPPED
    b.memory.failing[(PID, BASE + 192)] = native.UNCORRECTABLE
    assert (await answer(b, 64, 4)).status == CplStatus.CA
    poisoned = await answer(b, 192, 4)
    assert poisoned.status == CplStatus.SC and poisoned.ep
    assert await b.bar2.read(0, 9) == b"read only", "it goes on serving"
    assert await b.reg(ERR_WINDOW) == 4
    assert b.interrupts[2] >= 1


async def answer(b, at, size):
    """The completion of a read of BAR2, whatever its status."""
    tlp = Tlp()
    tlp.fmt_type = TlpType.MEM_READ_64
    tlp.requester_id = PcieId(0, 0, 0)
    tlp.set_addr_be(b.bar2.base + at if hasattr(b.bar2, "base") else b.function.bar_addr[2] + at, size)
    answers = await b.rc.perform_nonposted_operation(tlp, 50, "us")
    assert answers, "no completion"
    return answers[0]


async def dma_traffic(b, rounds, most_lines):
    """Random commands in both directions, some with lists; everything is looked at afterwards."""
    rng = b.rng
    pages = 24
    region, host = b.host(pages * 4096)
    start = host + -host % 4096
    offset = start - host
    shadow = {}
    for turn in range(rounds):
        work = []
        count = rng.randint(1, b.entries)
        for i in range(count):
            lines = rng.choice([1, rng.randint(1, most_lines)])
            op = rng.choice([READ, WRITE])
            listed = lines > 1 and rng.random() < 0.4
            va = BASE + 64 * rng.randrange(1 << 12) + (turn * 64 + i << 24)
            data = rng.randbytes(lines * 64)
            place, placed = host_region(b, lines, listed)
            if op == READ:
                b.memory.write(PID, va, data)
            else:
                place.store(data)
            b.put(op, i, PID, lines, va, placed, listed=listed)
            work.append((op, va, data, place))
        await b.ring()
        ends = await b.take(count)
        for i, (op, va, data, place) in enumerate(work):
            assert ends[i] == (0, 0), f"command {i}: {ends[i]}"
            got = place.load() if op == READ else b.memory.read(PID, va, len(data))
            assert got == data, f"round {turn}, command {i}, op {op}, {len(data) // 64} lines"


class Place:
    """Host memory for some lines: in one piece, or page by page."""

    def __init__(self, pieces):
        self.pieces = pieces  # (region, offset, bytes)

    def store(self, data):
        for region, at, size in self.pieces:
            region[at : at + size], data = data[:size], data[size:]

    def load(self):
        return b"".join(bytes(region[at : at + size]) for region, at, size in self.pieces)


def host_region(b, lines, listed):
    size = lines * 64
    if not listed:
        region, base = b.host(size + 64)
        skip = -base % 64
        return Place([(region, skip, size)]), base + skip
    pieces, addresses = [], b""
    while size:
        take = min(4096, size)
        region, base = b.host(8192)
        skip = -base % 4096
        pieces.append((region, skip, take))
        addresses += (base + skip).to_bytes(8, "little")
        size -= take
    table, base = b.host(len(addresses) + 128)
    skip = -base % 64
    padded = addresses.ljust(len(addresses) + -len(addresses) % 64, b"\0")
    table[skip : skip + len(padded)] = padded
    return Place(pieces), base + skip


@cocotb.test(timeout_time=150, timeout_unit="us")
async def dma_moves_lines_and_pages(dut):
    b = await bench(dut)
    await b.rings(4)
    await dma_traffic(b, 4, 130)
    before = b.interrupts[0]
    assert before >= 4
    # A masked line, and atomics.
    place, host = host_region(b, 1, False)
    place.store(bytes(range(64)))
    b.memory.write(PID, BASE, b"\xff" * 64)
    b.put(WRITE, 1, PID, 1, BASE, host, operand=0x0F)
    await b.ring()
    assert await b.take(1) == {1: (0, 0)}
    assert b.memory.read(PID, BASE, 6) == bytes([0, 1, 2, 3, 255, 255])
    b.memory.write(PID, BASE + 8, (41).to_bytes(8, "little"))
    b.put(FETCH_ADD, 2, va=BASE + 8, operand=1)
    await b.ring()
    assert await b.take(1) == {2: (0, 41)}
    b.put(COMPARE_SWAP, 3, va=BASE + 8, operand=7, expected=42)
    b.put(COMPARE_SWAP, 4, va=BASE + 16, operand=9, expected=1)
    await b.ring()
    ends = await b.take(2)
    assert ends[3] == (0, 42) and ends[4][0] == 0
    assert b.memory.read(PID, BASE + 8, 8) == (7).to_bytes(8, "little")
    assert b.interrupts[0] > before


@cocotb.test(timeout_time=150, timeout_unit="us")
async def dma_under_back_pressure(dut):
    b = await bench(dut, payload=128)
    b.stall(0.3)
    await b.rings(5)
    await dma_traffic(b, 2, 70)


@cocotb.test(timeout_time=150, timeout_unit="us")
async def dma_errors(dut):
    b = await bench(dut)
    await b.rings(4)
    place, host = host_region(b, 4, False)
    nowhere = 0xFFFF_0000_0000_0000
    b.memory.failing[(PID, BASE + 64)] = native.NO_PERMISSION
    b.put(9, 0)                                          # no such op
    b.put(READ, 1, lines=0, va=BASE, host=host)          # nothing to move
    b.put(READ, 2, lines=1, va=BASE + 8, host=host)      # not aligned
    b.put(WRITE, 3, lines=1, va=BASE, host=host + 4)     # not aligned
    b.put(WRITE, 4, lines=2, va=BASE, host=host, operand=1)  # a mask of several lines
    b.put(READ, 5, lines=4, va=BASE, host=host)          # a line is forbidden
    b.put(WRITE, 6, lines=4, va=BASE, host=host)
    b.put(WRITE, 7, lines=4, va=BASE + 4096, host=nowhere)   # the host has no such memory
    b.put(WRITE, 8, lines=70, va=BASE + 4096, host=nowhere, listed=True)
    b.put(NOP, 9)
    place.store(b"\x55" * 256)
    await b.ring()
    ends = await b.take(10)
    wanted = {**{i: BAD_COMMAND for i in range(5)}, 5: native.NO_PERMISSION, 6: native.NO_PERMISSION,
              7: HOST_REFUSED, 8: HOST_REFUSED, 9: 0}
    assert {i: end[0] for i, end in ends.items()} == wanted
    assert b.memory.read(PID, BASE, 64) == b"\x55" * 64, "the lines beside it were written"
    assert await b.reg(ERR_HOST) == 2
    # A ring that is where no memory is: every command ends so.
    await b.reg(DMA_CONTROL, 0)
    await b.reg(SQ_HI, nowhere >> 32)
    b.tail = b.head = 0
    b.cq[0 : b.entries * 16] = bytes(b.entries * 16)
    for address, value in [(SQ_TAIL, 1), (CQ_HEAD, 0), (DMA_CONTROL, 1)]:
        await b.reg(address, value)
    for _ in range(200):
        await Timer(50, "ns")
        if b.cq[2] == HOST_REFUSED:
            break
    assert b.cq[2] == HOST_REFUSED


@cocotb.test(timeout_time=150, timeout_unit="us")
async def reads_that_never_end(dut):
    """Completions that do not come: a timeout, a tag that stays out of use, and the rest goes on. More
    reads than there are tags wait for one."""
    b = await bench(dut)
    await b.rings(4)
    await b.reg(TIMEOUT, 2000)
    place, host = host_region(b, 64, False)
    place.store(b"\x77" * 4096)
    lost = []
    original = b.dev.upstream_recv

    async def dropping(tlp):
        if tlp.fmt_type == TlpType.CPL_DATA and len(lost) < 3 and len(tlp.data) > 64:
            lost.append(tlp)
            tlp.release_fc()
            return
        await original(tlp)

    b.dev.upstream_recv = dropping
    b.dev.upstream_port.rx_handler = dropping
    for i in range(12):
        b.put(WRITE, i, lines=64, va=BASE + 4096 * i, host=host)
    await b.ring()
    ends = await b.take(12, limit=20000)
    late = sum(end[0] == HOST_TIMEOUT for end in ends.values())
    good = sum(end[0] == 0 for end in ends.values())
    assert lost and 1 <= late <= 3 and late + good == 12, ends
    assert await b.reg(DMA_STATUS) >> 8 & 0xFF == len({(t.tag) for t in lost})
    assert await b.reg(ERR_HOST) == len({t.tag for t in lost})
    b.put(WRITE, 99, lines=64, va=BASE, host=host)
    await b.ring()
    assert await b.take(1) == {99: (0, 0)}
    assert b.memory.read(PID, BASE, 4096) == b"\x77" * 4096


@cocotb.test(timeout_time=150, timeout_unit="us")
async def interrupts_masked_and_pending(dut):
    b = await bench(dut)
    await b.reg(MSIX + 16 + 12, 1)
    await b.quiet()
    dut.irq_host.value = 1
    await b.quiet()
    assert b.interrupts[1] == 0 and await b.reg(PBA) == 2
    await b.reg(MSIX + 16 + 12, 0)
    await b.quiet()
    assert b.interrupts[1] == 1 and await b.reg(PBA) == 0
    dut.irq_host.value = 0
    await b.quiet()
    dut.irq_host.value = 1
    await b.quiet()
    assert b.interrupts[1] == 2
