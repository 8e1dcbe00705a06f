// The soft core with its debug module and memory: Ibex (RV32IMC, user mode, PMP), PULP's RISC-V
// debug module behind JTAG, and one memory for code and data. Everything else is on the peripheral
// port: one access at a time, `p_gnt` when it is taken, `p_rvalid` when it is over.
//
// `core_reset` resets the core alone; the debug module and the memory's contents stay.

module core_complex #(
    parameter int unsigned RAM_WORDS = 65536,
    parameter int unsigned PMP_REGIONS = 16,
    // The core's registers in distributed RAM instead of in flip-flops.
    parameter bit          RAM_REGISTERS = 0
) (
    input  logic        clock,
    input  logic        reset,
    input  logic        core_reset,
    // Interrupts, levels in this clock.
    input  logic        irq_external,
    input  logic        irq_timer,
    // Peripheral port.
    output logic        p_req,
    output logic        p_we,
    output logic [3:0]  p_be,
    output logic [31:0] p_addr,
    output logic [31:0] p_wdata,
    input  logic        p_gnt,
    input  logic        p_rvalid,
    input  logic [31:0] p_rdata,
    input  logic        p_err,
    // The core waits for an interrupt; a debugger has halted it; a debugger resets it.
    output logic        sleeping,
    output logic        halted,
    output logic        debug_reset,
    output logic [31:0] pc,
    input  logic        tck,
    input  logic        tms,
    input  logic        trst_n,
    input  logic        tdi,
    output logic        tdo
);
  import ibex_pkg::*;
  localparam logic [31:0] RAM_BASE = 32'h8000_0000;
  localparam logic [31:0] DM_BASE = 32'h1a11_0000;
  localparam int unsigned RAM_BITS = $clog2(RAM_WORDS);

  function automatic logic in_ram(input logic [31:0] a);
    return a[31:RAM_BITS+2] == RAM_BASE[31:RAM_BITS+2];
  endfunction
  function automatic logic in_dm(input logic [31:0] a);
    return a[31:16] == DM_BASE[31:16];
  endfunction

  logic rst_n, core_rst_n, ndmreset, debug_req, core_sleep;
  assign rst_n = ~reset;
  assign core_rst_n = rst_n & ~ndmreset & ~core_reset;
  assign debug_reset = ndmreset;
  assign sleeping = core_sleep & core_rst_n & ~debug_req;

  // The core's ports, and the debug module's master (m) and slave (s).
  logic i_req, i_gnt, i_rvalid, i_err;
  logic [31:0] i_addr, i_rdata;
  logic d_req, d_gnt, d_rvalid, d_we, d_err;
  logic [3:0] d_be;
  logic [31:0] d_addr, d_wdata, x_rdata;
  logic m_req, m_gnt, m_rvalid, m_we;
  logic [3:0] m_be;
  logic [31:0] m_addr, m_wdata;
  logic s_req, s_we;
  logic [3:0] s_be;
  logic [31:0] s_addr, s_wdata, s_rdata;

  dm_wrap u_debug (
      .clk(clock), .rst_n, .ndmreset, .debug_req,
      .dm_req(s_req), .dm_we(s_we), .dm_addr(s_addr), .dm_be(s_be), .dm_wdata(s_wdata),
      .dm_rdata(s_rdata),
      .sb_req(m_req), .sb_addr(m_addr), .sb_we(m_we), .sb_wdata(m_wdata), .sb_be(m_be),
      .sb_gnt(m_gnt), .sb_rvalid(m_rvalid), .sb_rdata(x_rdata),
      .tck, .tms, .trst_n, .tdi, .tdo, .tdo_oe()
  );

  ibex_top #(
      .PMPEnable(1'b1), .PMPNumRegions(PMP_REGIONS), .RV32M(RV32MFast),
      .RegFile(RAM_REGISTERS ? RegFileFPGA : RegFileFF),
      .DmBaseAddr(DM_BASE), .DmAddrMask(32'hFFFF), .DmHaltAddr(DM_BASE + 32'h800),
      .DmExceptionAddr(DM_BASE + 32'h810), .DbgTriggerEn(1'b1), .DbgHwBreakNum(2)
  ) u_core (
      .clk_i(clock), .rst_ni(core_rst_n), .test_en_i(1'b0), .ram_cfg_i('0), .hart_id_i('0),
      .boot_addr_i(RAM_BASE),
      .instr_req_o(i_req), .instr_gnt_i(i_gnt), .instr_rvalid_i(i_rvalid), .instr_addr_o(i_addr),
      .instr_rdata_i(i_rdata), .instr_rdata_intg_i('0), .instr_err_i(i_err),
      .data_req_o(d_req), .data_gnt_i(d_gnt), .data_rvalid_i(d_rvalid), .data_we_o(d_we),
      .data_be_o(d_be), .data_addr_o(d_addr), .data_wdata_o(d_wdata), .data_wdata_intg_o(),
      .data_rdata_i(x_rdata), .data_rdata_intg_i('0), .data_err_i(d_err),
      .irq_software_i(1'b0), .irq_timer_i(irq_timer), .irq_external_i(irq_external),
      .irq_fast_i('0), .irq_nm_i(1'b0),
      .scramble_key_valid_i(1'b0), .scramble_key_i('0), .scramble_nonce_i('0),
      .scramble_req_o(),
      .debug_req_i(debug_req), .crash_dump_o(), .double_fault_seen_o(),
      .fetch_enable_i(IbexMuBiOn), .alert_minor_o(), .alert_major_internal_o(),
      .alert_major_bus_o(), .core_sleep_o(core_sleep), .scan_rst_ni(1'b1)
  );

  // Data accesses: the core's before the debug module's. Nothing starts while a peripheral access
  // is under way.
  logic busy, pick_core, x_req, x_we, to_ram, to_dm, to_port, x_gnt;
  logic [3:0] x_be;
  logic [31:0] x_addr, x_wdata;
  logic port_core;
  assign pick_core = d_req;
  assign x_req = (d_req | m_req) & ~busy;
  assign x_we = pick_core ? d_we : m_we;
  assign x_be = pick_core ? d_be : m_be;
  assign x_addr = pick_core ? d_addr : m_addr;
  assign x_wdata = pick_core ? d_wdata : m_wdata;
  assign to_ram = x_req & in_ram(x_addr);
  assign to_dm = x_req & in_dm(x_addr);
  assign to_port = x_req & ~in_ram(x_addr) & ~in_dm(x_addr);
  assign p_req = to_port;
  assign p_we = x_we;
  assign p_be = x_be;
  assign p_addr = x_addr;
  assign p_wdata = x_wdata;
  assign x_gnt = to_ram | to_dm | (to_port & p_gnt);
  assign d_gnt = x_gnt & pick_core;
  assign m_gnt = x_gnt & ~pick_core;

  // Fetches: from the memory's other port, or from the debug module when no data access goes there.
  assign i_gnt = i_req & ~(in_dm(i_addr) & to_dm);
  assign s_req = to_dm | (i_gnt & in_dm(i_addr));
  assign s_we = to_dm & x_we;
  assign s_addr = to_dm ? x_addr : i_addr;
  assign s_be = to_dm ? x_be : 4'hF;
  assign s_wdata = x_wdata;

  logic x_was_dm, x_was_port, i_was_dm;
  logic [31:0] x_ram, i_ram, port_data;
  assign x_rdata = x_was_port ? port_data : x_was_dm ? s_rdata : x_ram;
  assign i_rdata = i_was_dm ? s_rdata : i_ram;
  assign halted = i_was_dm;

  soft_ram #(.WORDS(RAM_WORDS)) u_ram (
      .clock,
      .i_en(i_gnt), .i_addr(i_addr[RAM_BITS+1:2]), .i_data(i_ram),
      .d_en(to_ram), .d_we(x_be & {4{x_we}}), .d_addr(x_addr[RAM_BITS+1:2]), .d_wdata(x_wdata),
      .d_rdata(x_ram)
  );

  // A peripheral access that the core started before it was reset still ends on the port; the core
  // does not hear of it.
  logic orphan;
  always_ff @(posedge clock) begin
    i_rvalid <= i_gnt;
    i_err <= i_gnt & ~in_ram(i_addr) & ~in_dm(i_addr);
    if (i_gnt) begin
      i_was_dm <= in_dm(i_addr);
      pc <= i_addr;
    end
    d_rvalid <= 1'b0;
    m_rvalid <= 1'b0;
    d_err <= 1'b0;
    if (x_gnt) begin
      x_was_dm <= to_dm;
      x_was_port <= to_port;
      d_rvalid <= pick_core & ~to_port;
      m_rvalid <= ~pick_core & ~to_port;
    end
    if (to_port & p_gnt) begin
      busy <= 1'b1;
      port_core <= pick_core;
      orphan <= 1'b0;
    end
    if (busy & port_core & ~core_rst_n) orphan <= 1'b1;
    if (busy & p_rvalid) begin
      busy <= 1'b0;
      port_data <= p_rdata;
      d_rvalid <= port_core & ~orphan;
      d_err <= port_core & p_err;
      m_rvalid <= ~port_core;
    end
    if (!core_rst_n) begin
      i_rvalid <= 1'b0;
      i_err <= 1'b0;
      d_rvalid <= 1'b0;
      i_was_dm <= 1'b0;
    end
    if (!rst_n) begin
      m_rvalid <= 1'b0;
      busy <= 1'b0;
      orphan <= 1'b0;
    end
  end
endmodule

// Memory of one port for fetches and one for data, byte-wise writes.
module soft_ram #(
    parameter int unsigned WORDS = 65536
) (
    input  logic                     clock,
    input  logic                     i_en,
    input  logic [$clog2(WORDS)-1:0] i_addr,
    output logic [31:0]              i_data,
    input  logic                     d_en,
    input  logic [3:0]               d_we,
    input  logic [$clog2(WORDS)-1:0] d_addr,
    input  logic [31:0]              d_wdata,
    output logic [31:0]              d_rdata
);
`ifdef VERILATOR
  logic [31:0] mem[WORDS]  /* verilator public_flat_rw */;
  always_ff @(posedge clock) if (i_en) i_data <= mem[i_addr];
  always_ff @(posedge clock)
    if (d_en) begin
      for (int b = 0; b < 4; b++) if (d_we[b]) mem[d_addr][8*b+:8] <= d_wdata[8*b+:8];
      if (d_we == 0) d_rdata <= mem[d_addr];
    end
`else
  // One array with byte enables becomes flip-flops; four arrays of bytes become block RAM. Nobody
  // fetches what is written in the same clock: without that promise there would be two copies. What
  // they hold after configuration is in four files beside the sources.
  for (genvar b = 0; b < 4; b++) begin : lane
    (* no_rw_check *) logic [7:0] mem[WORDS];
    initial
      case (b)
        0: $readmemh("lane0.hex", mem);
        1: $readmemh("lane1.hex", mem);
        2: $readmemh("lane2.hex", mem);
        default: $readmemh("lane3.hex", mem);
      endcase
    always_ff @(posedge clock) if (i_en) i_data[8*b+:8] <= mem[i_addr];
    always_ff @(posedge clock)
      if (d_en) begin
        if (d_we[b]) mem[d_addr] <= d_wdata[8*b+:8];
        else d_rdata[8*b+:8] <= mem[d_addr];
      end
  end
`endif
endmodule
