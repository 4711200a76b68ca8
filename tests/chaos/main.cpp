// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chaos: for SVM_CHAOS_SECONDS, processes change their memory at random while the
 * device works on it. The run comes first, as a whole; each kind of process is a
 * test then, of what was found. SVM_CHAOS_SEED decides what every thread does and
 * in which order; who is faster stays free, so that a seed narrows a failure down
 * and does not replay it.
 */
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "process.hpp"
#include "weather.hpp"

namespace {

using namespace chaos;

constexpr unsigned hung_after = 200; // seconds without a word

struct run {
	board &shared = make_board();
	std::uint64_t seed = 0;
	unsigned seconds = 60;
	std::string weather_trouble;
	weather_record weather_was{};
	std::vector<pid_t> pids;
	std::vector<unsigned> lives;
};
run *the_run;

std::uint64_t number_of(const char *name, std::uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	if (!text || !*text)
		return otherwise;
	std::uint64_t value = std::strtoull(text, &end, 0);
	if (*end) {
		fmt::print(stderr, "{}='{}' is no number\n", name, text);
		std::exit(2);
	}
	return value;
}

void start(run &r, unsigned index)
{
	const process_kind &kind = process_kinds()[index];
	pid_t child = fork();
	if (child < 0) {
		r.shared.slots[index].complain(std::string("fork: ") + strerror(errno));
		return;
	}
	if (!child) {
		join_group(kind.limited);
		live(r.shared, r.shared.slots[index], kind, index, r.seed, r.lives[index]);
	}
	r.pids[index] = child;
	r.lives[index]++;
}

void ended(run &r, unsigned index, int status)
{
	slot &out = r.shared.slots[index];
	r.pids[index] = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		out.add(lives);
	else // says nothing new if the process has said why
		out.complain(fmt::format("ended with wait status {:#x}", status));
	if (!r.shared.stop.load(std::memory_order_relaxed) && !out.failed())
		start(r, index);
}

// Whoever ends is followed by its next life; whoever hangs is killed. False if all have ended.
bool watch(run &r)
{
	bool any = false;
	for (unsigned index = 0; index < r.pids.size(); index++) {
		int status;
		if (r.pids[index] && waitpid(r.pids[index], &status, WNOHANG) == r.pids[index])
			ended(r, index, status);
		slot &out = r.shared.slots[index];
		if (r.pids[index] && out.silence() > hung_after && !out.failed()) {
			out.complain(fmt::format("pid {} hangs", r.pids[index]));
			fmt::print(stderr, "pid {} hangs{}", r.pids[index], harness::kernel_stacks());
			kill(r.pids[index], SIGKILL);
		}
		any |= r.pids[index] != 0;
	}
	return any;
}

void go(run &r)
{
	auto now = [] { return static_cast<std::uint64_t>(time(nullptr)); };
	pid_t sky = fork();
	if (!sky)
		weather(r.shared, r.seed);
	r.pids.assign(process_kinds().size(), 0);
	r.lives.assign(process_kinds().size(), 0);
	for (unsigned index = 0; index < r.pids.size(); index++) {
		r.shared.slots[index].begin(process_kinds()[index].name, index, r.seed);
		start(r, index);
	}
	for (std::uint64_t begun = now(); watch(r) && now() - begun < r.seconds;)
		usleep(20'000);
	r.shared.stop.store(true, std::memory_order_relaxed);
	for (std::uint64_t begun = now(); watch(r);) {
		usleep(20'000);
		if (now() - begun < hung_after + 60)
			continue;
		for (unsigned index = 0; index < r.pids.size(); index++)
			if (r.pids[index])
				r.shared.slots[index].complain("it cannot be killed");
		break;
	}
	waitpid(sky, nullptr, 0);
	r.weather_was = weather_report();
}

class chaos_run : public ::testing::Environment {
public:
	void SetUp() override
	{
		the_run = &run_;
		run_.seconds = static_cast<unsigned>(number_of("SVM_CHAOS_SECONDS", run_.seconds));
		run_.seed = number_of("SVM_CHAOS_SEED", static_cast<std::uint64_t>(time(nullptr)));
		fmt::print("chaos: seed {}, {} s\n", run_.seed, run_.seconds);
		fflush(stdout);
		run_.weather_trouble = make_weather();
		if (!run_.weather_trouble.empty())
			return;
		go(run_);
		clear_weather();
	}

private:
	run run_;
};

void judge(unsigned index)
{
	const slot &out = the_run->shared.slots[index];
	ASSERT_EQ(the_run->weather_trouble, "");
	fmt::print("{}:", process_kinds()[index].name);
	for (unsigned what = 0; what < count_kinds; what++)
		if (out.get(static_cast<count>(what)))
			fmt::print(" {} {},", out.get(static_cast<count>(what)), count_names[what]);
	fmt::print(" seed {}\n", the_run->seed);
	fflush(stdout);
	EXPECT_FALSE(out.failed()) << out.story();
	EXPECT_GT(out.get(episodes), 0u) << "it never did anything";
}

} // namespace

TEST(Chaos, Anonymous) { judge(0); }
TEST(Chaos, AnonymousUnderLimit) { judge(1); }
TEST(Chaos, SharedMemory) { judge(2); }
TEST(Chaos, Files) { judge(3); }
TEST(Chaos, Userfaultfd) { judge(4); }
TEST(Chaos, Counters) { judge(5); }
TEST(Chaos, Mayflies) { judge(6); }

TEST(Chaos, Weather)
{
	EXPECT_EQ(the_run->weather_trouble, "");
	const weather_record &was = the_run->weather_was;
	fmt::print("{} writes to swap, {} reads, {} rounds of KSM, memory limit met {} times\n", was.swapped_out, was.swapped_in,
		   was.ksm_rounds, was.limit_met);
	EXPECT_GT(was.swapped_out, 0u) << "nothing was ever swapped out";
	EXPECT_EQ(was.killed, 0u) << "the memory limit killed a process";
}

TEST(Chaos, NothingIsHeldAfterwards)
{
	EXPECT_TRUE(harness::nothing_held(std::chrono::seconds(60)));
}

int main(int argc, char **argv)
{
	if (argc == 4 && !std::strcmp(argv[1], "--mayfly"))
		return mayfly(argv + 2);
	testing::InitGoogleTest(&argc, argv);
	testing::AddGlobalTestEnvironment(new chaos_run);
	return RUN_ALL_TESTS();
}
