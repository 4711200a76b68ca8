// SPDX-License-Identifier: GPL-2.0-only
/* What keeps the device busy while the CPU does something to the memory. */
#include <cerrno>

#include "harness.hpp"

namespace harness {

hammer::hammer(svmirror::vm &vm, std::span<std::byte> memory, bool write)
	: queue_(vm), memory_(memory), write_(write), thread_([this] { run(); })
{
}

hammer::~hammer()
{
	if (thread_.joinable())
		stop();
}

void hammer::run()
{
	while (!stopping_.load(std::memory_order_relaxed)) {
		int status;
		try {
			status = finish(queue_.touch(memory_, page, write_)).status;
		} catch (const std::system_error &error) {
			status = -error.code().value();
		}
		report_.jobs++;
		switch (status) {
		case 0:
			report_.ok++;
			break;
		case -EFAULT:
			report_.fault++;
			break;
		case -EPERM:
			report_.denied++;
			break;
		default:
			if (!report_.other++)
				report_.first_other = status;
		}
		jobs_.fetch_add(1, std::memory_order_relaxed);
	}
}

void hammer::wait_for(std::uint64_t more) const
{
	std::uint64_t target = jobs() + more;
	EXPECT_TRUE(eventually([&] { return jobs() >= target; })) << "the device does not get on";
}

hammer::report hammer::stop()
{
	stopping_.store(true, std::memory_order_relaxed);
	thread_.join();
	return report_;
}

adder::adder(svmirror::vm &vm, std::span<std::byte> memory, std::uint64_t times)
	: queue_(vm), memory_(memory), times_(times)
{
	for (std::size_t i = 0; i < memory.size() / page; i++)
		made_.push_back(word(i));
	thread_ = std::thread([this] { run(); });
}

adder::~adder()
{
	stop();
}

std::uint64_t &adder::word(std::size_t index) const
{
	return *reinterpret_cast<std::uint64_t *>(memory_.data() + index * page);
}

void adder::run()
{
	for (std::size_t at = 0; !stopping_.load(std::memory_order_relaxed); at = (at + 1) % made_.size()) {
		int status;
		try {
			status = finish(queue_.cas_add(word(at), times_)).status;
		} catch (const std::system_error &error) {
			status = -error.code().value();
		}
		if (!status)
			made_[at] += times_;
		else if (!failed_)
			failed_ = status;
		jobs_.fetch_add(1, std::memory_order_relaxed);
	}
}

void adder::stop()
{
	stopping_.store(true, std::memory_order_relaxed);
	if (thread_.joinable())
		thread_.join();
}

void adder::wait_for(std::uint64_t more) const
{
	std::uint64_t target = jobs_.load(std::memory_order_relaxed) + more;
	EXPECT_TRUE(eventually([&] { return jobs_.load(std::memory_order_relaxed) >= target; }))
		<< "the device does not get on";
}

::testing::AssertionResult adder::exact()
{
	stop();
	if (failed_)
		return ::testing::AssertionFailure() << "a job ended with " << failed_;
	for (std::size_t i = 0; i < made_.size(); i++)
		if (std::atomic_ref(word(i)).load() != made_[i])
			return ::testing::AssertionFailure() << "page " << i << " shows " << word(i) << " of " << made_[i]
							     << " additions";
	return ::testing::AssertionSuccess();
}

} // namespace harness
