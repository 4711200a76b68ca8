// SPDX-License-Identifier: GPL-2.0-only
// svgpud itself: its command line, and a supervisor whose device is killed and started again under a guest.
#include "guest_rig.hpp"
#include "hw/svgpu_regs.h"
#include "shared_memory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>

using namespace svgpu;
using namespace svgpu::test;
using namespace std::chrono_literals;

extern char **environ;

namespace {

constexpr std::size_t bar_bytes = 2 << 20;
constexpr std::size_t ram_bytes = 1 << 20;

// A child with its output in a pipe.
class program {
public:
	explicit program(std::vector<std::string> args)
	{
		posix_spawn_file_actions_t actions;
		std::vector<char *> argv;
		int ends[2];

		args.insert(args.begin(), SVGPUD_PROGRAM);
		for (std::string &a : args)
			argv.push_back(a.data());
		argv.push_back(nullptr);
		EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
		output_ = descriptor(ends[0]);

		descriptor writer(ends[1]);

		::posix_spawn_file_actions_init(&actions);
		::posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
		::posix_spawn_file_actions_adddup2(&actions, writer.get(), 2);
		EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
		::posix_spawn_file_actions_destroy(&actions);
	}
	~program()
	{
		if (pid_) {
			::kill(pid_, SIGKILL);
			::waitpid(pid_, nullptr, 0);
		}
	}

	void signal(int number) { ::kill(pid_, number); }

	// Up to this text, or to the end of all output.
	std::string read_until(const std::string &text)
	{
		std::string all;
		char c;

		while (all.find(text) == all.npos && ::read(output_.get(), &c, 1) == 1)
			all += c;
		return all;
	}

	std::string read_all()
	{
		std::string all;
		char c;

		while (::read(output_.get(), &c, 1) == 1)
			all += c;
		return all;
	}

	// Exit status, or -signal.
	int wait()
	{
		auto limit = std::chrono::steady_clock::now() + 20s;
		int status;

		while (::waitpid(pid_, &status, WNOHANG) == 0) {
			if (std::chrono::steady_clock::now() > limit)
				throw std::runtime_error("the program does not end");
			std::this_thread::sleep_for(1ms);
		}
		pid_ = 0;
		return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	}

private:
	pid_t pid_ = 0;
	descriptor output_;
};

class process : public testing::Test {
protected:
	process()
		: base(testing::TempDir() + "svgpud-" + std::to_string(::getpid()))
		, socket_path(base + ".sock")
		, ram_path(base + ".ram")
	{
	}
	~process() override
	{
		::unlink(ram_path.c_str());
		::unlink(socket_path.c_str());
	}

	std::vector<std::string> command_line()
	{
		return { "--socket",   socket_path, "--ram", ram_path, "--ram-size", std::to_string(ram_bytes),
			 "--vram-mib", "2" };
	}

	void create_ram()
	{
		descriptor file(::open(ram_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));

		ASSERT_EQ(::ftruncate(file.get(), ram_bytes), 0);
	}

	descriptor connect()
	{
		descriptor s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		sockaddr_un address{};

		address.sun_family = AF_UNIX;
		std::strcpy(address.sun_path, socket_path.c_str());
		EXPECT_EQ(::connect(s.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
		return s;
	}

	std::string base;
	std::string socket_path;
	std::string ram_path;
};

// The guest, once connected: sees the registers, rings bells.
class guest {
public:
	explicit guest(descriptor connection)
		: connection_(std::move(connection))
		, plug_(connection_.get())
		, bar_(plug_.bar, bar_bytes)
	{
	}

	std::uint64_t reg(unsigned offset) { return word(offset).load(std::memory_order_acquire); }

	void await(const char *what, unsigned offset, std::uint64_t value)
	{
		auto limit = std::chrono::steady_clock::now() + 20s;

		while (reg(offset) != value) {
			if (std::chrono::steady_clock::now() > limit)
				throw std::runtime_error(std::string("waited in vain for ") + what);
			std::this_thread::sleep_for(1ms);
		}
	}

	void begin_epoch(std::uint64_t epoch)
	{
		word(SVGPU_REG_EPOCH).store(epoch, std::memory_order_release);
		::eventfd_write(plug_.bells[SVGPU_BELL_SYNC].get(), 1);
		await("the epoch", SVGPU_REG_EPOCH_ACK, epoch);
	}

	// A job in a queue that does not exist: through the job ring, back through the done ring, with its interrupt.
	void exchange_job()
	{
		auto slot = bar_.bytes().data() + SVGPU_JOB_RING + SVGPU_RING_SLOTS;
		svgpu_job job{};
		svgpu_done done;
		pollfd interrupt = { plug_.vectors[SVGPU_VECTOR_DONE].get(), POLLIN, 0 };

		job.cookie = 77;
		std::memcpy(slot, &job, sizeof(job));
		index(SVGPU_JOB_RING + SVGPU_RING_TAIL).store(1, std::memory_order_release);
		::eventfd_write(plug_.bells[SVGPU_BELL_JOB].get(), 1);
		ASSERT_EQ(::poll(&interrupt, 1, 20'000), 1);
		ASSERT_EQ(index(SVGPU_DONE_RING + SVGPU_RING_TAIL).load(std::memory_order_acquire), 1u);
		std::memcpy(&done, bar_.bytes().data() + SVGPU_DONE_RING + SVGPU_RING_SLOTS, sizeof(done));
		EXPECT_EQ(done.cookie, 77u);
		EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_INVALID });
	}

	bool alive()
	{
		std::uint64_t beat = reg(SVGPU_REG_HEARTBEAT);

		std::this_thread::sleep_for(400ms);
		return reg(SVGPU_REG_HEARTBEAT) != beat;
	}

	void leave() { connection_.close(); }

private:
	std::atomic_ref<std::uint64_t> word(unsigned offset)
	{
		return std::atomic_ref(*reinterpret_cast<std::uint64_t *>(bar_.bytes().data() + offset));
	}
	std::atomic_ref<std::uint32_t> index(unsigned offset)
	{
		return std::atomic_ref(*reinterpret_cast<std::uint32_t *>(bar_.bytes().data() + offset));
	}

	descriptor connection_;
	guest_plug plug_;
	mapping bar_;
};

TEST_F(process, comes_up_when_the_guests_memory_does)
{
	program svgpud(command_line());

	svgpud.read_until("svgpud: listening\n");

	guest g(connect());

	svgpud.read_until("waiting for " + ram_path);
	EXPECT_EQ(g.reg(SVGPU_REG_MAGIC), 0u);
	create_ram();
	g.await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	EXPECT_EQ(g.reg(SVGPU_REG_VRAM_SIZE), bar_bytes - SVGPU_VRAM_OFFSET);
	g.begin_epoch(5);
	g.exchange_job();
	g.leave();
	EXPECT_EQ(svgpud.wait(), 0);
}

TEST_F(process, device_is_killed_and_started_again)
{
	program svgpud(command_line());

	create_ram();
	svgpud.read_until("svgpud: listening\n");

	guest g(connect());

	g.await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	g.begin_epoch(5);
	EXPECT_TRUE(g.alive());
	svgpud.signal(SIGUSR1);
	svgpud.read_until("was killed");
	EXPECT_FALSE(g.alive());
	svgpud.signal(SIGUSR2);
	g.await("the second generation", SVGPU_REG_GENERATION, 2);
	EXPECT_TRUE(g.alive());
	EXPECT_EQ(g.reg(SVGPU_REG_EPOCH_ACK), 0u);
	g.begin_epoch(6);
	g.exchange_job();
	// Starting a device that runs changes nothing.
	svgpud.signal(SIGUSR2);
	svgpud.read_until("not started: it runs");
	EXPECT_EQ(g.reg(SVGPU_REG_GENERATION), 2u);
	svgpud.signal(SIGTERM);
	EXPECT_EQ(svgpud.wait(), 0);
	EXPECT_FALSE(g.alive());
	EXPECT_NE(::access(socket_path.c_str(), F_OK), 0);
}

TEST_F(process, device_does_not_outlive_a_killed_supervisor)
{
	program svgpud(command_line());

	create_ram();
	svgpud.read_until("svgpud: listening\n");

	guest g(connect());

	g.await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	svgpud.signal(SIGKILL);
	EXPECT_EQ(svgpud.wait(), -SIGKILL);
	EXPECT_FALSE(g.alive());

	// Its socket is in the way of nobody.
	program next(command_line());

	next.read_until("svgpud: listening\n");
	guest h(connect());
	h.await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	next.signal(SIGINT);
	EXPECT_EQ(next.wait(), 0);
}

TEST_F(process, device_that_dies_stays_dead_until_told)
{
	std::vector<std::string> args = command_line();

	// A directory cannot be the guest's memory: the device gives up at once.
	args[3] = testing::TempDir();

	program svgpud(args);

	svgpud.read_until("svgpud: listening\n");

	guest g(connect());
	std::string said = svgpud.read_until("ended with status 1");

	EXPECT_NE(said.find("cannot open " + testing::TempDir()), said.npos) << said;
	EXPECT_FALSE(g.alive());
	svgpud.signal(SIGUSR2);
	svgpud.read_until("ended with status 1");
	svgpud.signal(SIGUSR1);
	g.leave();
	EXPECT_EQ(svgpud.wait(), 0);
}

TEST_F(process, second_guest_is_refused)
{
	program svgpud(command_line());

	svgpud.read_until("svgpud: listening\n");

	guest first(connect());
	descriptor second = connect();

	EXPECT_FALSE(receive_message(second.get()));
	svgpud.signal(SIGTERM);
	EXPECT_EQ(svgpud.wait(), 0);
}

TEST_F(process, log_file)
{
	std::vector<std::string> args = command_line();
	std::string log_path = base + ".log";
	std::array<char, 4096> text{};

	args.insert(args.end(), { "--log", log_path });
	program svgpud(args);

	svgpud.read_until("svgpud: listening\n");
	svgpud.signal(SIGTERM);
	EXPECT_EQ(svgpud.wait(), 0);

	descriptor log(::open(log_path.c_str(), O_RDONLY | O_CLOEXEC));

	EXPECT_GT(::read(log.get(), text.data(), text.size() - 1), 0);
	EXPECT_NE(std::string(text.data()).find("ends on signal 15"), std::string::npos);
	::unlink(log_path.c_str());
}

TEST_F(process, address_in_use)
{
	program first(command_line());

	first.read_until("svgpud: listening\n");

	program second(command_line());
	std::string said = second.read_until("\n");

	EXPECT_NE(said.find("Address already in use"), said.npos) << said;
	EXPECT_EQ(second.wait(), 1);
}

class command_lines : public process {
protected:
	void refused(unsigned at, const std::string &value, const std::string &why)
	{
		std::vector<std::string> args = command_line();

		if (at < args.size())
			args[at] = value;
		else
			args.push_back(value);

		program svgpud(args);
		std::string said = svgpud.read_all();

		EXPECT_NE(said.find(why), said.npos) << said;
		EXPECT_NE(svgpud.wait(), 0);
	}
};

TEST_F(command_lines, precise_errors)
{
	refused(5, "4095", "multiple of 4096");
	refused(5, "0", "multiple of 4096");
	refused(5, "x", "not a number of bytes");
	refused(5, "2952790016", "less than 2816 MiB");
	refused(7, "1", "power of two");
	refused(7, "48", "power of two");
	refused(99, "--engines=0", "--engines");
	refused(99, "--engines=65", "--engines");
	refused(99, "--nonsense", "--nonsense");
	refused(1, std::string(200, 'x'), "too long");
	refused(1, "/nonexistent/socket", "No such file or directory");
}

} // namespace
