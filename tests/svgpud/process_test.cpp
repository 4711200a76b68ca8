// SPDX-License-Identifier: GPL-2.0-only
// svgpud itself: its command line, and a supervisor whose device is killed and started again under a guest.
#include "process_rig.hpp"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

using namespace svgpu;
using namespace svgpu::test;

namespace {

TEST_F(process, comes_up_when_the_guests_memory_does)
{
	program svgpud(command_line());

	svgpud.read_until("svgpud: listening\n");

	guest g(connect(), bar_bytes);

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

	guest g(connect(), bar_bytes);

	g.await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	g.begin_epoch(5);
	EXPECT_TRUE(g.alive());
	svgpud.signal(SIGUSR1);
	svgpud.read_until("was killed");
	EXPECT_TRUE(g.dead());
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
	EXPECT_TRUE(g.dead());
	EXPECT_NE(::access(socket_path.c_str(), F_OK), 0);
}

TEST_F(process, device_does_not_outlive_a_killed_supervisor)
{
	program svgpud(command_line());

	create_ram();
	svgpud.read_until("svgpud: listening\n");

	guest g(connect(), bar_bytes);

	g.await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	svgpud.signal(SIGKILL);
	EXPECT_EQ(svgpud.wait(), -SIGKILL);
	EXPECT_TRUE(g.dead());

	// Its socket is in the way of nobody.
	program next(command_line());

	next.read_until("svgpud: listening\n");
	guest h(connect(), bar_bytes);
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

	guest g(connect(), bar_bytes);
	std::string said = svgpud.read_until("ended with status 1");

	EXPECT_NE(said.find("cannot open " + testing::TempDir()), said.npos) << said;
	EXPECT_TRUE(g.dead());
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

	guest first(connect(), bar_bytes);
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
	refused(99, "--evil=x", "seed 'x' is no number");
	refused(99, "--evil=1:nothing", "unknown lie 'nothing'");
	refused(99, "--mmu=pascal", "unknown format 'pascal'; there are: xe2, nv_v2");
	refused(1, std::string(200, 'x'), "too long");
	refused(1, "/nonexistent/socket", "No such file or directory");
}

} // namespace
