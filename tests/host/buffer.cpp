// SPDX-License-Identifier: GPL-2.0-only
/* A driver's buffer. See buffer.hpp. */
#include "tests/host/buffer.hpp"

#include "tests/host/check.hpp"

#include <cerrno>
#include <new>

namespace svm_host
{

/* What lives as long as the object. */
struct buffer::backing {
	memory &mem;
	std::shared_ptr<frames> all;
	std::function<int()> wanted;

	static int bring(void *arg)
	{
		auto *self = static_cast<backing *>(arg);

		return self->wanted ? self->wanted() : -EAGAIN;
	}
	static void release(void *arg)
	{
		auto *self = static_cast<backing *>(arg);

		for (u32 f : *self->all)
			self->mem.put(f);
		self->all->clear();
		delete self;
	}
};

const svm_object_ops buffer::ops = {.bring = backing::bring, .release = backing::release};

buffer::buffer(memory &mem, u64 pages, unsigned number, bool blocks, u64 frames, std::function<int()> wanted)
	: mem_(mem)
	, pages_(pages)
	, number_(number)
	, blocks_(blocks)
	, words_(frames ? frames : pages)
{
	auto *b = new backing{mem, frames_, std::move(wanted)};

	if (svm_object_create(size(), &ops, b, &object_)) {
		delete b;
		throw std::bad_alloc();
	}
}

void buffer::give_back()
{
	if (object_)
		svm_object_put(object_);
	object_ = nullptr;
}

bool buffer::take(frames &to)
{
	for (u64 i = 0; i < words_.size();) {
		bool block = blocks_ && i % BLOCK_FRAMES == 0 && words_.size() - i >= BLOCK_FRAMES;
		u32 f = block ? mem_.take_block(home(i)) : NO_FRAME;
		unsigned n = f == NO_FRAME ? 1 : BLOCK_FRAMES;

		if (f == NO_FRAME)
			f = mem_.take(home(i));
		if (f == NO_FRAME)
			return false;
		for (; n; n--, i++, f++) {
			mem_.at(f).value.store(words_[i], std::memory_order_relaxed);
			to.push_back(f);
		}
	}
	return true;
}

void buffer::drop(frames &from)
{
	for (u32 f : from)
		mem_.put(f);
}

int buffer::place()
{
	std::vector<svm_extent> extents;
	frames mine;

	if (!take(mine)) {
		drop(mine);
		return -ENOMEM;
	}
	for (u64 i = 0; i < pages_; i++)
		extents.push_back({memory::dma_of(mine[i % mine.size()]), 1ull << 12, SVM_SYSTEM});
	frames_->swap(mine);

	int err = svm_object_place(object_, extents.data(), u32(extents.size()));

	if (err) {
		frames_->swap(mine);
		drop(mine);
	}
	return err;
}

void buffer::displace()
{
	frames old;

	svm_object_displace(object_);
	frames_->swap(old);
	for (u64 i = 0; i < old.size(); i++)
		words_[i] = mem_.at(old[i]).value.load(std::memory_order_relaxed);
	drop(old);
}

u64 buffer::value(u64 page) const
{
	return placed() ? mem_.at(frame(page)).value.load(std::memory_order_relaxed) : words_[page % words_.size()];
}

u64 buffer::sum() const
{
	u64 total = 0;

	for (u64 i = 0; i < words_.size(); i++)
		total += value(i);
	return total;
}

void buffer::set(u64 page, u64 value)
{
	if (placed())
		mem_.at(frame(page)).value.store(value, std::memory_order_relaxed);
	words_[page % words_.size()] = value;
}

} // namespace svm_host
