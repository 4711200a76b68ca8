/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver's buffer: an object with frames of the machine's memory behind it, which move as a driver moves them.
 *
 * When svm_object_displace() has returned, the words are copied into new frames and the old ones are freed: the device
 * complains of an access to these. The frames have homes of their own, which no page of the CPU's has.
 */
#ifndef SVM_TESTS_HOST_BUFFER_HPP
#define SVM_TESTS_HOST_BUFFER_HPP

#include "tests/host/frames.hpp"

#include <svm/object.h>

#include <functional>
#include <memory>
#include <vector>

namespace svm_host
{

class buffer
{
public:
	static constexpr u64 HOME = 1ull << 60;

	/*
	 * blocks: it lies in blocks of 512 frames where there are some, else in single frames. frames: so many frames are the
	 * pages' in turn; 0: each has its own. wanted: see svm_object_ops::bring; without it -EAGAIN.
	 */
	buffer(memory &mem, u64 pages, unsigned number = 0, bool blocks = false, u64 frames = 0, std::function<int()> wanted = {});
	~buffer()
	{
		give_back();
	}
	buffer(const buffer &) = delete;

	svm_object *object() const
	{
		return object_;
	}
	u64 size() const
	{
		return pages_ << 12;
	}
	/* What the page is made for, see frame::home. */
	u64 home(u64 page) const
	{
		return HOME + (u64(number_) << 40) + (page % words_.size() << 12);
	}
	static bool is_home(u64 home)
	{
		return home >= HOME;
	}

	/* It has a place afterwards: 0 or an error. One thread at a time calls this and displace(). */
	int place();
	/* No device reaches it any more; its words are kept. */
	void displace();
	int move()
	{
		displace();
		return place();
	}
	/* From the begin of place() to the return of svm_object_displace(). */
	bool placed() const
	{
		return !frames_->empty();
	}
	/* The driver's reference goes; the frames go with the last one. */
	void give_back();
	/* The frame of a page; where it has a place. */
	u32 frame(u64 page) const
	{
		return (*frames_)[page % words_.size()];
	}
	/* The word of a page, wherever it is, and of all frames together; no job runs. */
	u64 value(u64 page) const;
	u64 sum() const;
	void set(u64 page, u64 value);

private:
	struct backing;
	static const svm_object_ops ops;
	using frames = std::vector<u32>;

	bool take(frames &to);
	void drop(frames &from);

	memory &mem_;
	const u64 pages_;
	const unsigned number_;
	const bool blocks_;
	std::vector<u64> words_; /* while it has no place */
	std::shared_ptr<frames> frames_ = std::make_shared<frames>(); /* the object's, too: release() gives them back */
	svm_object *object_ = nullptr;
};

} // namespace svm_host

#endif
