// SPDX-License-Identifier: GPL-2.0-only
/* One process takes what it can get of the device. The others go on. */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <sched.h>
#include <span>
#include <thread>
#include <unistd.h>

#include "manager.hpp"

using namespace harness;

namespace {

using clock = std::chrono::steady_clock;

// Jobs of another process's, each with faults of its own, in a span of time.
unsigned jobs_done(std::chrono::milliseconds span)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	unsigned done = 0;
	for (auto end = clock::now() + span; clock::now() < end; done++) {
		if (device_fill(gpu.queue, memory.bytes(), std::byte(done)))
			return 0;
		madvise(memory.data(), memory.size(), MADV_DONTNEED);
	}
	return done;
}

// Faults that wait for a manager who never answers: @ended of queues that ended, and @queues of queues that live.
struct silence {
	static constexpr std::size_t ended = 300, queues = 48;

	harness::gpu gpu;
	mapping memory{(ended + queues) * table_span, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
	manager asked{memory.bytes()};
	std::vector<svmirror::queue> living;

	// Each in a table of its own.
	bool waits(svmirror::queue &queue, std::size_t n)
	{
		queue.touch(memory.bytes(n * 512, 1), page, true);
		return asked.asked().has_value();
	}

	int begin()
	{
		for (std::size_t n = 0; n < ended; n++) {
			svmirror::queue queue(gpu.vm);
			if (!waits(queue, n) || queue.destroy())
				return 1;
		}
		for (std::size_t n = 0; n < queues; n++) {
			living.emplace_back(gpu.vm);
			if (!waits(living.back(), ended + n))
				return 2;
		}
		return 0;
	}
};

// All contexts and queues that a process gets, by as many files.
struct hoard {
	std::vector<std::unique_ptr<svmirror::device>> files;
	std::vector<std::unique_ptr<svmirror::vm>> vms;
	std::vector<svmirror::queue> queues;

	hoard()
	{
		for (unsigned i = 0; i < 8; i++)
			files.push_back(std::make_unique<svmirror::device>());
	}

	// The errno of the one too many.
	template <typename maker> static int until_refused(const maker &make)
	{
		for (;;) {
			try {
				make();
			} catch (const std::system_error &failed) {
				return failed.code().value();
			}
		}
	}

	// 0, or an errno that is not the documented one.
	int take()
	{
		for (auto &file : files) {
			int refused = until_refused([&] { vms.push_back(std::make_unique<svmirror::vm>(*file)); });
			if (refused != ENOSPC)
				return refused;
		}
		// one for each context in turn
		std::size_t next = 0;
		int refused = vms.empty() ? ENOSPC : until_refused([&] { queues.emplace_back(*vms[next++ % vms.size()]); });
		return refused == ENOSPC ? 0 : refused;
	}
};

// A job without end on each of @queues, which adds to its word of @words. It ends with its queue.
std::vector<svmirror::job> keep_busy(std::vector<svmirror::queue> &queues, std::span<std::uint64_t> words)
{
	std::vector<svmirror::job> jobs;
	for (std::size_t i = 0; i < queues.size(); i++)
		jobs.push_back(queues[i].cas_add(words[i], ~0ull));
	return jobs;
}

std::span<std::uint64_t> words_in(const mapping &memory, std::size_t count)
{
	return {reinterpret_cast<std::uint64_t *>(memory.data()), count};
}

// What the device has added to all of them, meanwhile.
std::uint64_t sum(std::span<std::uint64_t> words)
{
	std::uint64_t all = 0;
	for (std::uint64_t &word : words)
		all += std::atomic_ref(word).load(std::memory_order_relaxed);
	return all;
}

// Processes of one user take what they get, one after the other; @become makes the n-th of them one of that user's.
// Others find a half.
void user_takes_all(const std::function<bool(unsigned)> &become)
{
	constexpr unsigned processes = 12; // each gets about a half of what the one before it got
	ASSERT_TRUE(nothing_held()) << "what tests before this one had counts too";
	struct counts {
		std::size_t contexts, queues;
	};
	mapping memory(page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	auto *got = reinterpret_cast<counts *>(memory.data());
	signal_pipe over;
	std::vector<std::unique_ptr<child>> attackers;
	for (unsigned i = 0; i < processes; i++) {
		signal_pipe begun;
		attackers.push_back(std::make_unique<child>([&] {
			hoard all;
			if (!become(i))
				return 98;
			if (int failed = all.take())
				return failed;
			got[i] = {all.vms.size(), all.queues.size()};
			begun.send();
			return over.wait(120s) ? 0 : 99;
		}));
		ASSERT_TRUE(begun.wait(60s)) << "process " << i;
	}
	svmirror::gpu_info all = svmirror::device().gpu();
	counts sum{};
	for (unsigned i = 0; i < processes; i++) {
		sum.contexts += got[i].contexts;
		sum.queues += got[i].queues;
	}
	EXPECT_EQ(got[0].contexts, all.contexts / 4);
	EXPECT_EQ(got[0].queues, all.queues / 4);
	EXPECT_EQ(sum.contexts, all.contexts / 2);
	// the last ones had no contexts, and so no queues
	EXPECT_LE(sum.queues, all.queues / 2);
	EXPECT_GE(sum.queues, all.queues * 3 / 8);
	EXPECT_GT(jobs_done(100ms), 0u);
	for (unsigned i = 0; i < processes; i++)
		over.send();
	for (auto &attacker : attackers)
		EXPECT_TRUE(attacker->succeeded());
	EXPECT_TRUE(nothing_held());
}

} // namespace

SVM_TEST_WITHIN(OneAgainstAll, FaultsThatNobodyAnswers, 240)
{
	constexpr auto measure = 2s;
	unsigned alone = jobs_done(measure);
	ASSERT_GT(alone, 0u);
	signal_pipe begun, seen;
	child attacker([&] {
		silence all;
		if (int failed = all.begin())
			return failed;
		begun.send();
		return seen.wait(120s) ? 0 : 3;
	});
	ASSERT_TRUE(begun.wait(120s)) << "an engine or a record was held by a fault that waits";
	std::optional<numbers> held = driver_file("svm_leaks");
	ASSERT_TRUE(held);
	EXPECT_LE((*held)["faults"], silence::queues) << "faults of queues that ended are still there";
	// whatever else the host does slows one measure down; the faults would slow each of them down
	unsigned beside = 0;
	for (unsigned i = 0; i < 4 && beside * 2 < alone; i++)
		beside = jobs_done(measure);
	EXPECT_GE(beside * 2, alone);
	seen.send();
	EXPECT_TRUE(attacker.succeeded());
	EXPECT_TRUE(nothing_held());
}

// One process takes all contexts and queues that it gets, and gives each queue a job without end. Another has one context, and
// as many such jobs as there are engines. Its share is measured in the device's own steps, since time says more about what
// else the host does than about the device.
SVM_TEST_WITHIN(OneAgainstAll, ManyFilesOfOneProcess, 240)
{
	ASSERT_TRUE(nothing_held()) << "what tests before this one had counts too";
	svmirror::gpu_info info = svmirror::device().gpu();
	mapping theirs(info.queues * sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS), ours(page);
	auto their_words = words_in(theirs, info.queues / 4), our_words = words_in(ours, info.engines);
	signal_pipe begun, seen;
	child attacker([&] {
		hoard all;
		if (int failed = all.take())
			return failed;
		if (all.vms.size() != info.contexts / 4 || all.queues.size() != info.queues / 4)
			return 97;
		for (auto &vm : all.vms)
			vm->bind_all();
		auto jobs = keep_busy(all.queues, their_words);
		begun.send();
		// its jobs go on
		_exit(seen.wait(120s) ? 0 : 99);
	});
	ASSERT_TRUE(begun.wait(120s));
	{
		gpu gpu;
		std::vector<svmirror::queue> queues;
		for (unsigned i = 0; i < info.engines; i++)
			queues.emplace_back(gpu.vm);
		auto jobs = keep_busy(queues, our_words);
		auto all_run = [](std::span<std::uint64_t> words) {
			return [=] { return std::ranges::all_of(words, [](std::uint64_t &word) { return std::atomic_ref(word).load() > 0; }); };
		};
		EXPECT_TRUE(eventually(all_run(their_words)));
		EXPECT_TRUE(eventually(all_run(our_words)));
		std::uint64_t our_steps = sum(our_words), their_steps = sum(their_words);
		std::this_thread::sleep_for(3s);
		our_steps = sum(our_words) - our_steps;
		their_steps = sum(their_words) - their_steps;
		// a fair share is a half, and half of that is demanded
		EXPECT_GE(our_steps * 3, their_steps) << our_steps << " steps beside " << their_steps;
		std::fprintf(stderr, "%llu steps beside %llu of a quarter of all queues\n", static_cast<unsigned long long>(our_steps),
			    static_cast<unsigned long long>(their_steps));
	}
	seen.send();
	EXPECT_TRUE(attacker.succeeded());
	EXPECT_TRUE(nothing_held());
}

SVM_TEST_WITHIN(OneAgainstAll, ManyProcessesOfOneUser, 240)
{
	user_takes_all([](unsigned) { return setresuid(1000, 0, 0) == 0; });
}

// Each process has another user id, all of a namespace that one user has made.
TEST(OneAgainstAll, ManyUsersOfANamespace)
{
	if (access("/proc/self/ns/user", F_OK))
		GTEST_SKIP() << "this kernel has no user namespaces";
	isolated(
		[] {
			user_takes_all([](unsigned i) {
				// a child maps the ids: it has the right to, in the namespace that it stays in
				signal_pipe there, mapped;
				pid_t pid = getpid();
				child mapper([&] {
					std::string map = "0 5000 100";
					return there.wait() && write_file("/proc/" + std::to_string(pid) + "/uid_map", map) ? mapped.send(), 0 : 1;
				});
				if (setresuid(1000, 1000, 0) || unshare(CLONE_NEWUSER))
					return false;
				there.send();
				return mapped.wait() && mapper.succeeded() && setresuid(1 + i, 1 + i, 1 + i) == 0;
			});
		},
		240s);
}
