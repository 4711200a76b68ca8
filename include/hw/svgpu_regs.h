/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The virtual GPU's programming interface: what lies in its BAR2.
 *
 * The device is QEMU's ivshmem-doorbell: BAR2 is plain memory shared with the
 * process that plays the device, a doorbell write in BAR0 wakes that process,
 * and it raises MSI-X vectors. Nothing in BAR2 traps, so every handshake is a
 * release store by the one side and an acquire load by the other, then a bell.
 *
 *   0x000000  registers (one page)
 *   0x001000  five rings, see SVGPU_*_RING
 *   0x0ff000  the bus page, which the device cannot write
 *   0x100000  VRAM, to the end of the BAR
 *
 * Rings have one producer and one consumer. An index counts entries for ever
 * (32 bits, wraps); the slot is index % entries; empty is head == tail, full is
 * tail - head == entries. The producer writes the slot, then tail (release); the
 * consumer reads tail (acquire), the slot, then writes head (release).
 *
 * Life: the driver writes EPOCH (non-zero, other than before) and rings bell
 * SVGPU_BELL_SYNC. The device drops everything that it held (jobs, contexts,
 * queues, translations, what VRAM holds), zeroes both indices of every ring and
 * SYNC_DONE, and writes EPOCH_ACK = EPOCH. Ended jobs are not reported.
 * EPOCH = 0 asks it to stop all DMA; EPOCH_ACK = 0 says that it has. Without
 * an acknowledged epoch the device neither reads rings nor touches memory. A
 * device that starts (or starts again) adds one to GENERATION and writes
 * EPOCH_ACK = 0: work of an older generation is lost.
 *
 * Engines: a job runs while it has one of SVGPU_REG_ENGINES engines. It gives the
 * engine up while it stalls on a fault, so any number of stalled jobs keep no other
 * from running; and once it has had the engine for a slice (a few ms) and another
 * queue waits. Each queue has an owner, a number of the driver's choice. Engines go to
 * owners in turn, and to the queues of an owner in turn, so an owner with many queues
 * and contexts gets no more of them than an owner of a single queue does, and every
 * queue gets on beside jobs that never end. A queue has at
 * most one job that has begun, and so at most one fault: the rings have room for a
 * job, a fault and a reply of every queue.
 *
 * The bus: an epoch asks the device, and a device may lie. What it cannot get
 * around is its bus interface, which does what a bridge does for a function whose
 * bus mastering is off. ivshmem does not show it the bit in the PCI command
 * register, so the driver, after clearing that, also writes the next odd number to
 * SVGPU_REG_BUS and rings SVGPU_BELL_BUS: off. Once SVGPU_REG_BUS_ACK has this
 * number, the device reaches neither memory nor its BAR, nor will it ever again
 * with anything that it knew. The next even number is on: a device that has just
 * been started, of a new generation, without an epoch; MAGIC is 0 until it is up.
 * The bus interface alone writes SVGPU_REG_BUS_ACK, and it holds no more than the
 * last number.
 */
#ifndef SVGPU_REGS_H
#define SVGPU_REGS_H

#include <linux/types.h>

#define SVGPU_PCI_VENDOR	0x1af4
#define SVGPU_PCI_DEVICE	0x1110

#define SVGPU_MAGIC		0x3155504756535653ull /* "SVSVGPU1" */
#define SVGPU_VERSION		1

/* BAR0 of ivshmem: doorbell = peer << 16 | vector; the device is peer 0. */
#define SVGPU_BAR0_IVPOSITION	8
#define SVGPU_BAR0_DOORBELL	12
#define SVGPU_DEVICE_PEER	0

/* Bells, driver to device, and interrupt vectors, device to driver. */
#define SVGPU_BELL_SYNC		0	/* sync ring or EPOCH written */
#define SVGPU_BELL_JOB		1
#define SVGPU_BELL_REPLY	2
#define SVGPU_BELL_BUS		3	/* SVGPU_REG_BUS written; the bus interface hears it */
#define SVGPU_VECTOR_FAULT	0
#define SVGPU_VECTOR_DONE	1
#define SVGPU_VECTORS		4	/* as QEMU is told; 2 and 3 are spare */

/* Registers: offsets in BAR2. D: written by the device, H: by the host driver. */
#define SVGPU_REG_MAGIC		0x000	/* D u64, written last when the device is up */
#define SVGPU_REG_VERSION	0x008	/* D u32 */
#define SVGPU_REG_ENGINES	0x00c	/* D u32: jobs that run at the same time; more take turns */
#define SVGPU_REG_CONTEXTS	0x010	/* D u32: context ids are 0 .. n-1 */
#define SVGPU_REG_QUEUES	0x014	/* D u32: queue ids are 0 .. n-1 */
#define SVGPU_REG_VRAM_SIZE	0x018	/* D u64: bytes from SVGPU_VRAM_OFFSET */
#define SVGPU_REG_FORMATS	0x020	/* D u64: bit n: it walks page tables of SVGPU_FORMAT n */
#define SVGPU_REG_GENERATION	0x028	/* D u64 */
#define SVGPU_REG_HEARTBEAT	0x030	/* D u64: grows at least every 200 ms */
#define SVGPU_REG_EPOCH		0x100	/* H u64 */
#define SVGPU_REG_EPOCH_ACK	0x140	/* D u64 */
#define SVGPU_REG_SYNC_DONE	0x180	/* D u64: .seq of the last finished sync operation */

/* The bus page. B: written by the bus interface. */
#define SVGPU_BUS_PAGE		0xff000
#define SVGPU_BUS_PAGE_BYTES	0x1000
#define SVGPU_REG_BUS		0xff000	/* H u64: odd: off, even: on */
#define SVGPU_REG_BUS_ACK	0xff040	/* B u64 */
#define SVGPU_REG_BUS_MAGIC	0xff080	/* B u64, there before the machine is */
#define SVGPU_BUS_MAGIC		0x5355425550475653ull /* "SVGPUBUS" */

/* VRAM: device addresses with aperture SVGPU_VRAM count from SVGPU_VRAM_OFFSET. */
#define SVGPU_VRAM_OFFSET	0x100000
#define SVGPU_VRAM_POISON	0xdb
#define SVGPU_SYSTEM		0	/* aperture: bus addresses of the host */
#define SVGPU_VRAM		1

/* Formats of page tables: the device walks those that SVGPU_REG_FORMATS announces. */
#define SVGPU_FORMAT_XE2	0
#define SVGPU_FORMAT_NV_V2	1
#define SVGPU_FORMAT_NV_V3	2
#define SVGPU_FORMAT_AMD_GFX9	3
#define SVGPU_FORMAT_AMD_GFX12	4
#define SVGPU_FORMAT_MLX5_ODP	5
#define SVGPU_FORMATS		6
/* Their names, by number: those of svmirror's formats. */
#define SVGPU_FORMAT_NAMES \
	{ "xe2", "nv_v2", "nv_v3", "amd_gfx9", "amd_gfx12", "mlx5_odp" }

/* A ring: offset in BAR2 of { head, tail, slots }, number of slots. */
#define SVGPU_RING_HEAD		0x00	/* u32, written by the consumer */
#define SVGPU_RING_TAIL		0x40	/* u32, written by the producer */
#define SVGPU_RING_SLOTS	0x80

#define SVGPU_SYNC_RING		0x01000	/* driver to device: struct svgpu_sync */
#define SVGPU_SYNC_ENTRIES	256
#define SVGPU_JOB_RING		0x08000	/* driver to device: struct svgpu_job */
#define SVGPU_JOB_ENTRIES	1024
#define SVGPU_FAULT_RING	0x2a000	/* device to driver: struct svgpu_fault */
#define SVGPU_FAULT_ENTRIES	1024
#define SVGPU_REPLY_RING	0x3c000	/* driver to device: struct svgpu_reply */
#define SVGPU_REPLY_ENTRIES	1024
#define SVGPU_DONE_RING		0x42000	/* device to driver: struct svgpu_done */
#define SVGPU_DONE_ENTRIES	2048

/*
 * Sync operations are done in order, one after the other, and acknowledged by
 * SYNC_DONE = seq. When an INVALIDATE is acknowledged, no access that used a
 * dropped translation is still under way, and no job uses one later, be it one that
 * has no engine just now. CONTEXT_CLEAR and QUEUE_CLEAR end the jobs of the context
 * or queue, running or waiting, also one that stalls on a fault or waits for an
 * engine (each is reported done with SVGPU_DONE_CANCELED before the acknowledge).
 * Jobs that were written before the CLEAR and still lie in the job ring are among
 * them. The device takes no job whose end might not find room in the done ring,
 * so the driver goes on emptying that one while it waits, and at no time gives the
 * device more jobs than half as many as there is room for. A queue whose context was
 * cleared stays set, and its jobs are INVALID, until it is cleared or set anew.
 * CONTEXT_STOP stops the jobs of a context, those that run and those that begin later, each
 * between two accesses. They give up their engines. A context that is stopped or not may be
 * stopped or resumed; one that is set again is not stopped.
 * A job may be written once its QUEUE_SET is acknowledged.
 */
enum svgpu_sync_op {
	/* context, start, end: forget translations and table pointers for [start, end) */
	SVGPU_SYNC_INVALIDATE = 1,
	/* context, address = root table, aperture, format = one that the device announces, flags */
	SVGPU_SYNC_CONTEXT_SET = 2,
	SVGPU_SYNC_CONTEXT_CLEAR = 3,	/* context */
	SVGPU_SYNC_QUEUE_SET = 4,	/* queue, context, owner */
	SVGPU_SYNC_QUEUE_CLEAR = 5,	/* queue */
	/* start, end: VRAM that is free from now on is filled with poison */
	SVGPU_SYNC_POISON = 6,
	/*
	 * context, start, address, aperture: is start, by the context's page tables, this byte of
	 * memory, which may be written? SVGPU_SYNC_BAD: it is not. Nothing is accessed but tables.
	 */
	SVGPU_SYNC_TRANSLATE = 7,
	/* context: from the acknowledge on its jobs make no access, until CONTEXT_RESUME */
	SVGPU_SYNC_CONTEXT_STOP = 8,
	SVGPU_SYNC_CONTEXT_RESUME = 9,	/* context */
	/*
	 * address: of an array of struct svgpu_copy in system memory, end: how many; aperture:
	 * where the pages go. Each is copied, or filled with zeros. No page tables are asked.
	 */
	SVGPU_SYNC_COPY = 10,
};

/* Flags of CONTEXT_SET. A job that faults ends with SVGPU_DONE_FAULT, and nothing is asked. */
#define SVGPU_CONTEXT_NO_FAULT	1

/* 4 KiB between VRAM and system memory. */
struct svgpu_copy {
	__u64 vram;
	__u64 system;		/* SVGPU_COPY_ZERO: none: the page in VRAM is filled with zeros */
};

#define SVGPU_COPY_ZERO		(~0ull)
#define SVGPU_COPY_BYTES	4096

enum svgpu_sync_status {
	SVGPU_SYNC_OK = 0,
	/* unknown operation, id out of range or not set, span or root out of bounds */
	SVGPU_SYNC_BAD = 1,
};

struct svgpu_sync {
	__u64 seq;		/* by the driver, one more than the entry before */
	__u32 op;
	__u32 status;		/* by the device, before SYNC_DONE */
	__u32 context;
	__u32 queue;
	__u64 start;
	__u64 end;
	__u64 address;
	__u32 aperture;
	__u32 format;
	__u32 owner;
	__u32 flags;
};

/*
 * Kernels and their arguments. Pointers are device virtual addresses. Unless
 * stated, a kernel leaves its result behind a pointer, so that it too goes
 * through the page tables. Sizes count elements; alignment is the element's.
 */
enum svgpu_kernel {
	SVGPU_KERNEL_NOP = 0,
	SVGPU_KERNEL_FILL = 1,		/* dst, bytes, value (low 8 bits) */
	SVGPU_KERNEL_COPY = 2,		/* dst, src, bytes (may not overlap) */
	SVGPU_KERNEL_HISTOGRAM = 3,	/* src, bytes, u64 bins[256] (added to) */
	SVGPU_KERNEL_SUM = 4,		/* u64 src[], n, u64 *result (modulo 2^64) */
	/*
	 * float x[], float y[], n, a (float bits in the low 32): y = a * x + y, each step
	 * rounded to float
	 */
	SVGPU_KERNEL_SAXPY = 5,
	/*
	 * head, offset of next, offset of u64 value, addend, limit, u64 result[2]: per node
	 * value += addend; result = { nodes, sum of the new values }
	 */
	SVGPU_KERNEL_LIST_WALK = 6,
	/*
	 * root node *, u64 *visited_count, queue scratch u64[], its capacity; node: struct
	 * svgpu_bfs_node
	 */
	SVGPU_KERNEL_BFS = 7,
	/* u64 *counter, times: adds 1 by compare-and-swap, times over */
	SVGPU_KERNEL_CAS_ADD = 8,
	/*
	 * start, bytes, stride, write: reads (write: rewrites what it read) one byte per stride
	 */
	SVGPU_KERNEL_TOUCH = 9,
};

#define SVGPU_KERNELS		10
#define SVGPU_ARGS		8

/* Adjacency by pointers: level is ~0 where unvisited; the root gets 0. */
struct svgpu_bfs_node {
	__u64 edges;		/* address of u64 neighbour[degree]: addresses of nodes */
	__u32 degree;
	__u32 level;
};

struct svgpu_job {
	__u64 cookie;		/* the driver's; comes back in svgpu_done and svgpu_fault */
	__u32 queue;
	__u32 kernel;
	__u64 args[SVGPU_ARGS];
	__u64 reserved[6];
};

enum svgpu_access {
	SVGPU_READ = 0,
	SVGPU_WRITE = 1,
	SVGPU_ATOMIC = 2,	/* read, modify, write at one stroke; implies write */
};

/*
 * A fault: the job that met it stalls until the reply with the same id, and another
 * job may have its engine meanwhile. Two jobs may fault on the same page: two
 * entries, two replies. A job that is ended while it stalls leaves its fault in the
 * ring; a reply to it does nothing, and its id is given to no other fault soon.
 */
struct svgpu_fault {
	__u64 va;		/* the byte that the access began with */
	__u64 cookie;		/* the job's */
	__u32 id;
	__u32 context;
	__u32 queue;
	__u32 access;		/* enum svgpu_access */
	__u64 reserved[4];
};

enum svgpu_reply_status {
	SVGPU_REPLY_RETRY = 0,	/* walk again */
	SVGPU_REPLY_FAIL = 1,	/* end the job with SVGPU_DONE_FAULT */
};

struct svgpu_reply {
	__u32 id;
	__u32 status;
	__u64 reserved;
};

enum svgpu_done_status {
	SVGPU_DONE_OK = 0,
	/* va, access: the fault that was answered FAIL, or met in a context that cannot fault */
	SVGPU_DONE_FAULT = 1,
	/*
	 * va, access, address: a translation led outside RAM and VRAM, or had a reserved bit
	 * set
	 */
	SVGPU_DONE_BUS = 2,
	SVGPU_DONE_CANCELED = 3,
	SVGPU_DONE_INVALID = 4,		/* unknown kernel, bad arguments, queue not set */
	SVGPU_DONE_LIMIT = 5,		/* LIST_WALK's limit, BFS's scratch: exceeded */
};

struct svgpu_done {
	__u64 cookie;
	__u32 status;		/* enum svgpu_done_status */
	__u32 access;
	__u64 va;
	__u64 address;		/* of the byte that lies nowhere, or of the bad table entry */
	__u64 bytes;		/* that the job read and wrote through the MMU */
	__u64 tlb_hits;
	__u64 tlb_misses;
	__u64 reserved;
};

#endif
