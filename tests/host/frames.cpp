// SPDX-License-Identifier: GPL-2.0-only
/* Page frames. See frames.hpp. */
#include "tests/host/frames.hpp"

#include "tests/host/check.hpp"

#include <string>

namespace svm_host
{

static std::string hex(u64 v)
{
	char b[20];

	std::snprintf(b, sizeof(b), "%llx", v);
	return b;
}

/* Frames [0, pages) are taken one by one, the blocks come after them; the last block is the huge zero page. */
memory::memory(u32 pages, u32 blocks)
	: pages_((pages + BLOCK_FRAMES - 1) / BLOCK_FRAMES * BLOCK_FRAMES)
	, blocks_(blocks + 1)
	, zero_(0)
	, zero_block_(pages_ + blocks * BLOCK_FRAMES)
	, frames_(new frame[pages_ + blocks_ * BLOCK_FRAMES])
	, block_used_(new u32[blocks_]())
{
	at(zero_).refs = 1;
	for (u32 i = 0; i < BLOCK_FRAMES; i++)
		at(zero_block_ + i).refs = 1;
	for (u32 i = 1; i < pages_; i++)
		free_pages_.push_back(i);
	for (u32 i = 0; i < blocks; i++)
		free_blocks_.push_back(i);
}

memory::~memory()
{
	if (frames_used_)
		complain(std::to_string(frames_used_) + " page frames leaked");
	if (dma_live_)
		complain(std::to_string(dma_live_) + " DMA mappings leaked");
	if (at(zero_).value || at(zero_block_).value)
		complain("the zero page was written");
}

u32 memory::take(u64 home, bool vram)
{
	std::lock_guard hold(lock_);

	if (free_pages_.empty() || (vram && vram_left.load(std::memory_order_relaxed) <= 0))
		return NO_FRAME;
	vram_left.fetch_sub(vram, std::memory_order_relaxed);

	u32 f = free_pages_.front();
	frame &p = at(f);

	free_pages_.pop_front();
	p.value.store(0, std::memory_order_relaxed);
	p.home.store(home, std::memory_order_relaxed);
	p.dirty.store(false, std::memory_order_relaxed);
	p.cow.store(false, std::memory_order_relaxed);
	p.vram.store(vram, std::memory_order_relaxed);
	p.refs.store(1, std::memory_order_release);
	frames_used_++;
	return f;
}

u32 memory::take_block(u64 home)
{
	std::lock_guard hold(lock_);

	if (free_blocks_.empty())
		return NO_FRAME;

	u32 block = free_blocks_.front();
	u32 head = pages_ + block * BLOCK_FRAMES;

	free_blocks_.pop_front();
	block_used_[block] = BLOCK_FRAMES;
	for (u32 i = 0; i < BLOCK_FRAMES; i++) {
		frame &p = at(head + i);

		p.value.store(0, std::memory_order_relaxed);
		p.home.store(home + (u64(i) << 12), std::memory_order_relaxed);
		p.dirty.store(false, std::memory_order_relaxed);
		p.cow.store(false, std::memory_order_relaxed);
		p.refs.store(1, std::memory_order_release);
	}
	frames_used_ += BLOCK_FRAMES;
	return head;
}

void memory::get(u32 f)
{
	if (!is_zero(f) && !at(f).refs.fetch_add(1, std::memory_order_relaxed))
		complain("reference taken on a free frame");
}

void memory::put(u32 f)
{
	if (is_zero(f))
		return;

	u32 was = at(f).refs.fetch_sub(1, std::memory_order_acq_rel);

	if (!was)
		complain("reference dropped on a free frame");
	else if (was == 1)
		release(f);
}

void memory::release(u32 f)
{
	std::lock_guard hold(lock_);

	at(f).value.store(POISON, std::memory_order_relaxed);
	frames_used_--;
	if (f < pages_) {
		vram_left.fetch_add(at(f).vram.exchange(false, std::memory_order_relaxed), std::memory_order_relaxed);
		free_pages_.push_back(f);
		return;
	}

	u32 block = (f - pages_) / BLOCK_FRAMES;

	if (!--block_used_[block])
		free_blocks_.push_back(block);
}

u32 memory::of_dma(u64 dma) const
{
	u64 f = (dma - DMA_BASE) >> 12;

	if (dma < DMA_BASE || f >= pages_ + u64(blocks_) * BLOCK_FRAMES)
		return NO_FRAME;
	return u32(f);
}

void memory::dma_map(u32 f, u32 lg2)
{
	if (at(f).vram.load(std::memory_order_relaxed))
		complain("a page of VRAM is mapped for DMA");
	if (lg2 != 12)
		at(f).dma_block_lg2.store(lg2, std::memory_order_relaxed);
	(lg2 == 12 ? at(f).dma_page : at(f).dma_block).fetch_add(1, std::memory_order_relaxed);
	dma_live_.fetch_add(1, std::memory_order_relaxed);
}

void memory::dma_unmap(u64 dma, u32 lg2, bool dirty)
{
	u32 f = of_dma(dma);

	if (f == NO_FRAME || (dma & ((1ull << lg2) - 1)) ||
	    (lg2 != 12 && lg2 != at(f).dma_block_lg2.load(std::memory_order_relaxed))) {
		complain("DMA release of " + hex(dma) + ", 2^" + std::to_string(lg2) + ": never mapped");
		return;
	}

	auto &count = lg2 == 12 ? at(f).dma_page : at(f).dma_block;
	u32 n = count.load(std::memory_order_relaxed);

	while (n && !count.compare_exchange_weak(n, n - 1, std::memory_order_relaxed))
		;
	if (!n) {
		complain("DMA release of " + hex(dma) + ", 2^" + std::to_string(lg2) + ": not mapped");
		return;
	}
	dma_live_.fetch_sub(1, std::memory_order_relaxed);
	for (u32 i = 0; dirty && i < 1u << (lg2 - 12); i++) {
		/* The CPU's mapping still holds the page while its notifier runs; after that it may be anybody's. */
		if (!used(f + i))
			complain("freed page marked dirty");
		else if (is_zero(f + i))
			complain("zero page marked dirty");
		at(f + i).dirty.store(true, std::memory_order_relaxed);
	}
}

} // namespace svm_host
