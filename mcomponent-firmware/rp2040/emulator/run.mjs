// Runs the firmware's ELF file in rp2040js, an emulator of the RP2040, with its bridge's SPI pins in
// another process.
//
//   node run.mjs MODULES FIRMWARE.elf BITSTREAM
//
// MODULES is the folder that has rp2040js. The other process is at standard input and output: each
// message out is an operation and a number, and is answered with MISO's byte and the interrupt's level.
//
//   s        chip select goes low
//   x BYTE   eight clocks
//   d        chip select goes high
//   t N      N microseconds pass
//
// The FPGA's configuration port is here: CDONE rises when all of BITSTREAM has come in.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, elfFile, bitstreamFile] = process.argv.slice(2);
const entry = path.join(modules, 'rp2040js', 'dist', 'esm', 'index.js');
const { RP2040, ConsoleLogger, LogLevel } = await import(pathToFileURL(entry));

const FLASH = 0x10000000;
const VECTORS = 0x10000100;
const BITSTREAM = 0x10100000;
// Pins, as in src/board.rs.
const MISO_CS = 5, IRQ = 3, DATA = 8, SELECT = 9, CLOCK = 10, CDONE = 26, CRESET = 27;
const NANOSECONDS = 1e9 / 125e6;

const elf = fs.readFileSync(elfFile);
const bitstream = fs.readFileSync(bitstreamFile);
const chip = new RP2040();
const { clock } = chip;
chip.logger = new ConsoleLogger(LogLevel.Error, false);

// What the ELF file loads.
for (let i = 0, at = elf.readUInt32LE(28); i < elf.readUInt16LE(44); i++, at += elf.readUInt16LE(42)) {
  const [type, offset, , physical, bytes] = [0, 4, 8, 12, 16].map((o) => elf.readUInt32LE(at + o));
  if (type !== 1 || bytes === 0) continue;
  chip.flash.set(elf.subarray(offset, offset + bytes), physical - FLASH);
}
chip.flash.set(bitstream, BITSTREAM - FLASH);

// The other process.
const message = Buffer.alloc(5);
const reply = Buffer.alloc(2);
function tell(operation, number = 0) {
  message[0] = operation.charCodeAt(0);
  message.writeUInt32LE(number, 1);
  fs.writeSync(1, message);
  for (let got = 0; got < reply.length; ) {
    const more = fs.readSync(0, reply, got, reply.length - got, null);
    if (more === 0) process.exit(0);
    got += more;
  }
  chip.gpio[IRQ].setInputValue(reply[1] === 1);
  return reply[0];
}

// The bridge: SPI0, and chip select by software. 96 bits at 3 MHz take 32 us, which both sides see pass.
chip.gpio[MISO_CS].addListener((state, old) => {
  if (state !== old && state === 0) tell('s');
  if (state !== old && state === 1) tell('d');
});
chip.spi[0].onTransmit = (byte) => chip.spi[0].completeTransmit(tell('x', byte));

// The FPGA's configuration port.
let taken = 0, bits = 0, wrong = false;
chip.gpio[CDONE].setInputValue(false);
chip.gpio[CRESET].addListener((state) => {
  if (state === 0) {
    [taken, bits, wrong] = [0, 0, false];
    chip.gpio[CDONE].setInputValue(false);
  }
});
chip.gpio[CLOCK].addListener((state, old) => {
  if (state !== 1 || old === 1 || chip.gpio[CRESET].value !== 1 || chip.gpio[SELECT].value !== 0) return;
  if (taken === bitstream.length) return;
  const bit = (bitstream[taken] >> (7 - bits)) & 1;
  wrong ||= chip.gpio[DATA].value !== bit;
  bits = (bits + 1) % 8;
  if (bits === 0 && ++taken === bitstream.length && !wrong) chip.gpio[CDONE].setInputValue(true);
});

// With interrupts disabled, one that ends a WFI is not taken (ARMv6-M manual, B1.5.19); rp2040js takes it.
const FIRST_INTERRUPT = 16;
const take = chip.core.exceptionEntry.bind(chip.core);
chip.core.exceptionEntry = (number) => {
  if (!chip.core.PM || number < FIRST_INTERRUPT) take(number);
};

// The boot ROM and the second stage are not run: they would set the flash up and come to this.
chip.core.VTOR = VECTORS;
chip.core.SP = chip.readUint32(VECTORS);
chip.core.PC = chip.readUint32(VECTORS + 4) & ~1;

let passed = 0;
for (;;) {
  let nanoseconds;
  if (chip.core.waiting) {
    // No longer than a millisecond: the interrupt is in the other process.
    nanoseconds = Math.min(clock.nanosToNextAlarm || 1e6, 1e6);
  } else {
    nanoseconds = chip.core.executeInstruction() * NANOSECONDS;
  }
  clock.tick(nanoseconds);
  passed += nanoseconds;
  if (passed >= 1e5) {
    tell('t', Math.floor(passed / 1e3));
    passed %= 1e3;
  }
}
