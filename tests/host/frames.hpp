/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical memory of the simulated machine: page frames with reference counts, one word of
 * data each, and the counts of live DMA mappings.
 *
 * A frame that loses its last reference is poisoned and goes to the end of a queue, so it
 * stays free for as long as possible and a stale use of it is seen. A block is 512 frames
 * that are aligned and adjacent, as one THP's are; it can be taken again once all are free.
 * A DMA address is DMA_BASE + frame number * 4096. A frame may be the device's own: then that number is where it lies
 * in VRAM, and nothing is mapped for DMA.
 */
#ifndef SVM_TESTS_HOST_FRAMES_HPP
#define SVM_TESTS_HOST_FRAMES_HPP

#include "tests/host/threads.hpp"

#include <svm/types.h>

#include <atomic>
#include <deque>
#include <memory>

namespace svm_host
{

constexpr u64 DMA_BASE = 1ull << 36;
constexpr u64 POISON = 0x6b6b6b6b6b6b6b6bull;
constexpr u32 BLOCK_LG2 = 21;
constexpr u32 BLOCK_FRAMES = 512;
constexpr u32 NO_FRAME = ~0u;

struct frame {
	std::atomic<u32> refs{0};
	std::atomic<u32> dma_page{0}; /* live DMA mappings of this page alone */
	std::atomic<u32> dma_block{0}; /* live DMA mappings of the block that starts here */
	std::atomic<u32> dma_block_lg2{0}; /* and its size */
	std::atomic<bool> dirty{false};
	std::atomic<bool> cow{false}; /* shared by fork: nobody may write it */
	std::atomic<bool> vram{false}; /* the device's own: no CPU reaches it */
	std::atomic<u64> value{0};
	std::atomic<u64> home{0}; /* user page address it was made for; 0: none (zero page) */
};

class memory
{
public:
	explicit memory(u32 pages = 1u << 15, u32 blocks = 64);
	memory(const memory &) = delete;
	/* Complains about frames and DMA mappings that are left. */
	~memory();

	/* One reference; NO_FRAME when memory is out. */
	u32 take(u64 home, bool vram = false);
	u32 take_block(u64 home);
	void get(u32 f);
	void put(u32 f);
	bool used(u32 f) const
	{
		return at(f).refs.load(std::memory_order_acquire) != 0;
	}
	frame &at(u32 f) const
	{
		return frames_[f];
	}

	/* The zero page and the huge zero page: never freed, never written. */
	u32 zero() const
	{
		return zero_;
	}
	u32 zero_block() const
	{
		return zero_block_;
	}
	bool is_zero(u32 f) const
	{
		return f == zero_ || (f >= zero_block_ && f < zero_block_ + BLOCK_FRAMES);
	}

	/* DMA: the port's side. map fails by injection only. */
	static u64 dma_of(u32 f)
	{
		return DMA_BASE + (u64(f) << 12);
	}
	/* NO_FRAME: not memory. */
	u32 of_dma(u64 dma) const;
	void dma_map(u32 f, u32 lg2);
	void dma_unmap(u64 dma, u32 lg2, bool dirty);
	/* Nobody knows any more which. */
	void dma_abandon(u64 n)
	{
		dma_live_.fetch_sub(n, std::memory_order_relaxed);
	}
	u64 dma_live() const
	{
		return dma_live_.load(std::memory_order_relaxed);
	}
	/* How many frames may be the device's, beside those that are. */
	std::atomic<s64> vram_left{1 << 12};
	u64 frames_used() const
	{
		return frames_used_.load(std::memory_order_relaxed);
	}

private:
	void release(u32 f);

	u32 pages_;
	u32 blocks_;
	u32 zero_;
	u32 zero_block_;
	std::unique_ptr<frame[]> frames_;
	std::atomic<u64> dma_live_{0};
	std::atomic<u64> frames_used_{0};
	mutex lock_; /* the free queues */
	std::deque<u32> free_pages_;
	std::deque<u32> free_blocks_;
	std::unique_ptr<u32[]> block_used_; /* frames of a block that are in use */
};

} // namespace svm_host

#endif
