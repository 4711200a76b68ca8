// SPDX-License-Identifier: GPL-2.0-only
/*
 * Row 27: a device that lies. The host makes the virtual GPU tell one lie, or
 * all of them as a seed decides (svgpud --evil). Whatever it says, memory stays
 * right, calls return, jobs end with what is true or with an error, and after a
 * reset, which is unbinding and binding the driver, everything works again.
 */
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sched.h>
#include <unistd.h>

#include "lifetime.hpp"

using namespace harness;
using namespace lifetime;

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds bounded{30}, limit{240};
// A device that is honest but for one lie that harms nobody gets the time that a loaded machine needs.
constexpr unsigned patient_ms = 15000, hasty_ms = 300, default_ms = 5000;

const fs::path driver = "/sys/bus/pci/drivers/svgpu";

// The device that the driver has; empty if none.
std::string bound_device()
{
	std::error_code error;
	for (const auto &entry : fs::directory_iterator(driver, error))
		if (entry.path().filename().string().find(':') != std::string::npos)
			return entry.path().filename();
	return {};
}

// A reset: the driver leaves the device, and begins anew with what the host makes of it.
void reset(const std::vector<std::string> &request, unsigned timeout_ms)
{
	static const std::string device = bound_device();
	auto begin = std::chrono::steady_clock::now();
	if (!bound_device().empty()) {
		EXPECT_TRUE(write_file(driver / "unbind", device)) << device;
	}
	ask_host(request);
	// binding waits for a device that says nothing but the truth so far
	set_flush_timeout(patient_ms);
	EXPECT_TRUE(write_file(driver / "bind", device)) << device;
	set_flush_timeout(timeout_ms);
	int fd = -1;
	EXPECT_TRUE(eventually([&] { return svmirror_open(nullptr, &fd) == 0; })) << "no render node";
	svmirror_close(fd);
	EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * bounded) << "a reset takes too long";
}

void reset_to_honest()
{
	reset({"honest"}, default_ms);
	expect_working();
	EXPECT_TRUE(nothing_held());
}

// Also where a test was ended from outside: what runs after these has an honest device.
class honest_afterwards : public testing::Environment {
	void SetUp() override { reset_to_honest(); }
	void TearDown() override { reset_to_honest(); }
};

[[maybe_unused]] const auto *const environment = testing::AddGlobalTestEnvironment(new honest_afterwards);

// A device that tells these lies, until the end of the scope. Where nobody looks then whether an honest one works, the
// next one's beginning shows that it can be reset.
class lying_gpu {
public:
	lying_gpu(const std::string &lies, unsigned timeout_ms, bool look_afterwards = true) : look_(look_afterwards)
	{
		reset({"evil", lies}, timeout_ms);
	}
	~lying_gpu()
	{
		EXPECT_TRUE(nothing_held());
		if (look_)
			reset_to_honest();
	}

private:
	bool look_;
};

std::uint64_t pattern(std::size_t at, unsigned salt)
{
	return (at + 1) * 0x9e3779b97f4a7c15 + salt;
}

// Whole words of it; no two are the same.
void fill(std::span<std::byte> memory, unsigned salt)
{
	for (std::size_t i = 0; i < memory.size() / 8; i++) {
		std::uint64_t word = pattern(i, salt);
		std::memcpy(&memory[i * 8], &word, 8);
	}
}

bool filled(std::span<const std::byte> memory, unsigned salt)
{
	for (std::size_t i = 0; i < memory.size() / 8; i++) {
		std::uint64_t word = pattern(i, salt);
		if (std::memcmp(&memory[i * 8], &word, 8))
			return false;
	}
	return true;
}

// What the jobs of one device came to.
struct tally {
	unsigned right = 0, wrong = 0, failed = 0, strange = 0, endless = 0;
	int strange_status = 0;
	bool wedged = false;
};

// Its status if it ended, counted; a job without an end within the limit is a failure.
int count(tally &t, const svmirror::job &job)
{
	if (!job.done().wait(bounded)) {
		t.endless++;
		return -ETIME;
	}
	int status = job.result(bounded).status;
	// a made-up fault of a job is that job's: the driver asked for the address, and there was none
	if (status == -EIO || status == -EFAULT || status == -EPERM) {
		t.failed++;
	} else if (status) {
		t.strange++;
		t.strange_status = status;
	}
	return status;
}

// Freed memory comes back to the CPU that freed it first.
void stay_on_this_cpu()
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

// Pages that this CPU has just been given are held for a batch before they go to the LRU lists: fill it up, so that
// nobody holds them when they are freed.
void flush_batch()
{
	mapping others(64 * page);
	others.no_huge_pages();
	std::memset(others.data(), 1, others.size());
}

// Jobs that write to a page each and never come to an end by themselves.
class writers {
public:
	writers(svmirror::vm &vm, unsigned how_many) : memory_(how_many * page)
	{
		memory_.no_huge_pages();
		std::memset(memory_.data(), 0, memory_.size());
		flush_batch();
		for (unsigned i = 0; i < how_many; i++) {
			queues_.push_back(std::make_unique<svmirror::queue>(vm));
			jobs_.push_back(queues_.back()->cas_add(word(i), 1ull << 40));
		}
	}
	// How many have written by now, or have ended; waits until all have.
	bool write() const
	{
		return eventually(
			[&] {
				for (unsigned i = 0; i < jobs_.size(); i++)
					if (!__atomic_load_n(&word(i), __ATOMIC_RELAXED) && !jobs_[i].done().wait(0ns))
						return false;
				return true;
			},
			bounded);
	}
	std::vector<std::uint64_t> frames() const { return frames_of(memory_.bytes()); }
	// Takes the memory away from under them; the call's time is the caller's to judge.
	void take_away() const
	{
		ASSERT_EQ(munmap(memory_.data(), memory_.size()), 0);
		// keeps the place, so that the mapping's own end unmaps nothing of others
		ASSERT_NE(mmap(memory_.data(), memory_.size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			  MAP_FAILED);
	}
	void end(tally &t) const
	{
		for (const svmirror::job &job : jobs_)
			EXPECT_NE(count(t, job), 0) << "a job of 2^40 steps has ended";
	}

private:
	std::uint64_t &word(unsigned i) const { return *reinterpret_cast<std::uint64_t *>(&memory_.at(i)); }

	mapping memory_;
	std::vector<std::unique_ptr<svmirror::queue>> queues_;
	std::vector<svmirror::job> jobs_;
};

// New memory that holds some of these frames: what is in it now is nobody else's business.
class heirs {
public:
	static constexpr std::size_t step = 64;

	// Looks for one of them in so many pages at most.
	heirs(const std::vector<std::uint64_t> &frames, std::size_t most) : memory_(most * page)
	{
		memory_.no_huge_pages();
		while (used_ < most && !found_) {
			fill(memory_.bytes(used_, step), 5);
			for (std::uint64_t frame : frames_of(memory_.bytes(used_, step)))
				found_ += frame && std::find(frames.begin(), frames.end(), frame) != frames.end();
			used_ += step;
		}
	}
	std::size_t found() const { return found_; }
	bool untouched() const
	{
		for (std::size_t at = 0; at < used_; at += step)
			if (!filled(memory_.bytes(at, step), 5))
				return false;
		return true;
	}

private:
	mapping memory_;
	std::size_t used_ = 0, found_ = 0;
};

// Takes memory away while the device writes to it, right after @first, and looks what becomes of the memory.
void take_memory(tally &t, svmirror::vm &vm, unsigned how_many, bool must_meet,
		 const std::function<void()> &first = [] {})
{
	stay_on_this_cpu();
	writers busy(vm, how_many);
	EXPECT_TRUE(busy.write()) << "the device does not get on";
	std::vector<std::uint64_t> frames = busy.frames();
	auto begin = std::chrono::steady_clock::now();
	first();
	busy.take_away();
	EXPECT_LT(std::chrono::steady_clock::now() - begin, bounded);
	heirs now(frames, must_meet ? 4096 : 64);
	if (must_meet) {
		EXPECT_GE(now.found(), 1u) << "none of the freed pages was seen again, so this proves nothing";
	}
	std::this_thread::sleep_for(60ms);
	EXPECT_TRUE(now.untouched()) << "the device wrote to memory that it had lost";
	busy.end(t);
}

// One copy, right or failed.
void copy_once(tally &t, svmirror::queue &queue, unsigned round, mapping &from, mapping &to)
{
	fill(from.bytes(), round);
	std::memset(to.data(), 0, to.size());
	if (!count(t, queue.copy(to.bytes(), from.bytes())))
		(filled(to.bytes(), round) ? t.right : t.wrong)++;
}

// A process at work with this device. An exception of the library is an end as good as a job's.
tally work(unsigned rounds, bool until_wedged)
{
	tally t;
	mapping bystander(64 * 1024), from(64 * 1024), to(64 * 1024);
	from.no_huge_pages();
	to.no_huge_pages();
	fill(bystander.bytes(), 99);
	auto end = std::chrono::steady_clock::now() + 2 * bounded;
	try {
		gpu gpu;
		auto wedged = [&] { return t.wedged = gpu.device.gpu().wedged; };
		for (unsigned round = 0; until_wedged ? !wedged() : round < rounds; round++) {
			if (until_wedged && std::chrono::steady_clock::now() > end)
				break;
			copy_once(t, gpu.queue, round, from, to);
			take_memory(t, gpu.vm, 2, false);
			EXPECT_EQ(madvise(to.data(), to.size(), MADV_DONTNEED), 0);
		}
		if (wedged()) {
			std::uint32_t id;
			EXPECT_EQ(svmirror_queue_create(gpu.device.fd(), gpu.vm.id(), &id), -EIO);
		}
	} catch (const std::system_error &error) {
		EXPECT_TRUE(error.code().value() == EIO || error.code().value() == ENODEV) << error.what();
		t.failed++;
		t.wedged = svmirror::device().gpu().wedged;
	}
	EXPECT_TRUE(filled(bystander.bytes(), 99)) << "memory that no job was given has changed";
	EXPECT_EQ(t.wrong, 0u) << "a job that ended well left wrong results";
	EXPECT_EQ(t.strange, 0u) << "a job ended with status " << t.strange_status;
	EXPECT_EQ(t.endless, 0u) << "a job does not end";
	return t;
}

} // namespace

// One lie at a time. The first kind can be borne: nothing is wrong but what the device says, and that is seen through.
class Row27LiarBorne : public testing::TestWithParam<const char *> {};

TEST_P(Row27LiarBorne, EveryJobIsRight)
{
	lying_gpu device(std::string("7:") + GetParam(), patient_ms, false);
	isolated(
		[] {
			tally t = work(3, false);
			EXPECT_FALSE(t.wedged);
			EXPECT_EQ(t.right, 3u);
		},
		limit);
}

INSTANTIATE_TEST_SUITE_P(Lies, Row27LiarBorne,
			 testing::Values("duplicate", "reorder", "late", "interrupt", "lost-interrupt", "late-ack"),
			 [](const auto &info) {
				 std::string name = info.param;
				 std::erase(name, '-');
				 return name;
			 });

// The second kind is told about jobs: these fail, and none is taken for right that is not.
class Row27LiarJobsFail : public testing::TestWithParam<const char *> {};

TEST_P(Row27LiarJobsFail, AndNothingElse)
{
	lying_gpu device(std::string("7:") + GetParam(), patient_ms);
	isolated(
		[] {
			tally t = work(3, false);
			EXPECT_FALSE(t.wedged);
			EXPECT_GT(t.failed, 0u);
		},
		limit);
}

INSTANTIATE_TEST_SUITE_P(Lies, Row27LiarJobsFail, testing::Values("malformed", "reply"),
			 [](const auto &info) { return info.param; });

// The third kind is the end of the device.
class Row27LiarWedged : public testing::TestWithParam<const char *> {};

TEST_P(Row27LiarWedged, InBoundedTime)
{
	lying_gpu device(std::string("7:") + GetParam(), hasty_ms);
	isolated(
		[] {
			tally t = work(0, true);
			EXPECT_TRUE(t.wedged) << "the driver did not notice";
		},
		limit);
}

INSTANTIATE_TEST_SUITE_P(Lies, Row27LiarWedged,
			 testing::Values("index", "no-ack", "wild-ack", "epoch", "generation", "heart", "die", "bad-invalidate",
					 "bad-queue-clear"),
			 [](const auto &info) {
				 std::string name = info.param;
				 std::erase(name, '-');
				 return name;
			 });

// The danger itself: the device goes on writing by translations that it should have forgotten. Of the freed pages at
// least one is seen again with new content, which stays.
class Row27LiarContained : public testing::TestWithParam<const char *> {};

TEST_P(Row27LiarContained, NothingIsWrittenAfterMunmap)
{
	lying_gpu device(std::string("3:") + GetParam(), hasty_ms);
	isolated(
		[] {
			tally t;
			gpu gpu;
			mapping other(page);
			// answered well, and then the device says that it was started again, which it was not
			bool answered = !std::strcmp(GetParam(), "generation");
			if (answered) {
				ASSERT_EQ(device_write(gpu.queue, other.data(), std::byte{1}), 0);
			}
			take_memory(t, gpu.vm, 4, true, [&] {
				if (answered) {
					EXPECT_EQ(madvise(other.data(), page, MADV_DONTNEED), 0);
				}
			});
			EXPECT_EQ(t.failed, 4u) << t.strange << " strange: " << t.strange_status << ", " << t.endless
						<< " endless";
			EXPECT_TRUE(gpu.device.gpu().wedged);
		},
		limit);
}

namespace {

// A process goes while the device writes to its memory, which goes to others.
void leave_memory_behind()
{
	int ends[2];
	ASSERT_EQ(pipe(ends), 0);
	stay_on_this_cpu();
	child worker([&] {
		gpu gpu;
		writers busy(gpu.vm, 4);
		std::vector<std::uint64_t> frames = busy.frames();
		if (!busy.write())
			return 1;
		frames = busy.frames();
		if (write(ends[1], frames.data(), 32) != 32)
			return 2;
		for (;;)
			pause();
	});
	std::vector<std::uint64_t> frames(4);
	ASSERT_EQ(read(ends[0], frames.data(), 32), 32);
	worker.kill();
	ASSERT_TRUE(worker.wait(bounded).has_value()) << "a killed process does not end";
	heirs now(frames, 4096);
	EXPECT_GE(now.found(), 1u) << "none of the freed pages was seen again, so this proves nothing";
	std::this_thread::sleep_for(60ms);
	EXPECT_TRUE(now.untouched()) << "the device wrote to memory that it had lost";
}

} // namespace

TEST_P(Row27LiarContained, NothingIsWrittenAfterTheProcessIsGone)
{
	lying_gpu device(std::string("4:") + GetParam(), hasty_ms);
	isolated(leave_memory_behind, limit);
}

INSTANTIATE_TEST_SUITE_P(Lies, Row27LiarContained,
			 testing::Values("no-ack", "wild-ack", "epoch", "generation", "bad-invalidate"),
			 [](const auto &info) {
				 std::string name = info.param;
				 std::erase(name, '-');
				 return name;
			 });

// A device that refuses to give up a queue or a context, and goes on with it, is found out when that ends.
class Row27LiarRefusesTheEnd : public testing::TestWithParam<const char *> {};

TEST_P(Row27LiarRefusesTheEnd, NothingIsWrittenAfterTheProcessIsGone)
{
	lying_gpu device(std::string("4:") + GetParam(), hasty_ms);
	isolated(
		[] {
			leave_memory_behind();
			EXPECT_TRUE(svmirror::device().gpu().wedged);
		},
		limit);
}

INSTANTIATE_TEST_SUITE_P(Lies, Row27LiarRefusesTheEnd, testing::Values("bad-clear", "bad-queue-clear"),
			 [](const auto &info) {
				 std::string name = info.param;
				 std::erase(name, '-');
				 return name;
			 });

namespace {

// A device that walks other page tables than it announces is found out when the driver is bound, and not by what it
// would do to memory. These seeds announce each of the others.
TEST(Row27LiarFormat, IsRefused)
{
	const std::string device = bound_device();
	ASSERT_FALSE(device.empty());
	ASSERT_TRUE(write_file(driver / "unbind", device));
	for (unsigned seed : {0u, 1u, 2u, 3u, 7u}) {
		ask_host({"evil", std::to_string(seed) + ":other-format"});
		EXPECT_FALSE(write_file(driver / "bind", device)) << "seed " << seed;
		EXPECT_TRUE(bound_device().empty()) << "seed " << seed;
		int fd = -1;
		EXPECT_EQ(svmirror_open(nullptr, &fd), -ENODEV);
	}
	reset_to_honest();
}

} // namespace

// All lies together.
class Row27LiarSeeds : public testing::TestWithParam<unsigned> {};

TEST_P(Row27LiarSeeds, NobodyElseIsHurt)
{
	lying_gpu device(std::to_string(GetParam()), hasty_ms, GetParam() % 5 == 0);
	isolated([] { work(2, false); }, limit);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Row27LiarSeeds, testing::Range(1u, 21u),
			 [](const auto &info) { return std::to_string(info.param); });
