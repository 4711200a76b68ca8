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
	std::vector<u32> frames{};

	static void release(void *arg)
	{
		auto *self = static_cast<backing *>(arg);

		for (u32 f : self->frames)
			self->mem.put(f);
		delete self;
	}
};

buffer::buffer(memory &mem, u64 pages, unsigned number, bool blocks)
	: mem_(mem)
	, pages_(pages)
	, number_(number)
	, blocks_(blocks)
	, words_(pages)
{
	auto *b = new backing{mem};

	frames_ = &b->frames;
	if (svm_object_create(size(), backing::release, b, &object_)) {
		delete b;
		throw std::bad_alloc();
	}
}

buffer::~buffer()
{
	svm_object_put(object_);
}

bool buffer::take_frames()
{
	for (u64 i = 0; i < pages_;) {
		bool block = blocks_ && i % BLOCK_FRAMES == 0 && pages_ - i >= BLOCK_FRAMES;
		u32 f = block ? mem_.take_block(home(i)) : NO_FRAME;
		unsigned n = f == NO_FRAME ? 1 : BLOCK_FRAMES;

		if (f == NO_FRAME)
			f = mem_.take(home(i));
		if (f == NO_FRAME)
			return false;
		for (; n; n--, i++, f++) {
			mem_.at(f).value.store(words_[i], std::memory_order_relaxed);
			frames_->push_back(f);
		}
	}
	return true;
}

void buffer::drop_frames()
{
	for (u32 f : *frames_)
		mem_.put(f);
	frames_->clear();
}

int buffer::place()
{
	std::vector<svm_extent> extents;

	if (!take_frames()) {
		drop_frames();
		return -ENOMEM;
	}
	for (u32 f : *frames_)
		extents.push_back({memory::dma_of(f), 1ull << 12, SVM_SYSTEM});

	int err = svm_object_place(object_, extents.data(), u32(extents.size()));

	if (err)
		drop_frames();
	return err;
}

void buffer::displace()
{
	svm_object_displace(object_);
	for (u64 i = 0; i < frames_->size(); i++)
		words_[i] = mem_.at(frame(i)).value.load(std::memory_order_relaxed);
	drop_frames();
}

u64 buffer::value(u64 page) const
{
	return placed() ? mem_.at(frame(page)).value.load(std::memory_order_relaxed) : words_[page];
}

void buffer::set(u64 page, u64 value)
{
	if (placed())
		mem_.at(frame(page)).value.store(value, std::memory_order_relaxed);
	words_[page] = value;
}

} // namespace svm_host
