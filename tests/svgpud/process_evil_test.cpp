// SPDX-License-Identifier: GPL-2.0-only
// svgpud as the bus interface of a device that may lie, as the keeper of its lies, and as its judge.
#include "process_rig.hpp"

#include "shared_memory.hpp"

#include <csignal>
#include <fstream>

using namespace svgpu;
using namespace svgpu::test;

namespace {

class bus : public process {
protected:
	// svgpud with these options, its guest, and a device that is up.
	void begin(const std::vector<std::string> &options)
	{
		std::vector<std::string> args = command_line();

		args.insert(args.end(), options.begin(), options.end());
		svgpud.emplace(args);
		create_ram();
		svgpud->read_until("svgpud: listening\n");
		g.emplace(connect(), bar_bytes);
		g->await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	}

	void say_lies(const std::string &text)
	{
		std::ofstream file(lies_path());

		file << text << '\n';
	}
	std::string lies_path() const { return base + ".lies"; }

	// The next device.
	void cycle(std::uint64_t number)
	{
		g->set_bus(number);
		g->set_bus(number + 1);
	}

	void say_format(const std::string &text)
	{
		std::ofstream file(format_path());

		file << text << '\n';
	}
	std::string format_path() const { return base + ".mmu"; }

	~bus() override
	{
		::unlink(lies_path().c_str());
		::unlink(format_path().c_str());
	}

	std::optional<program> svgpud;
	std::optional<guest> g;
};

TEST_F(bus, off_is_the_end_of_the_device)
{
	begin({});
	EXPECT_EQ(g->reg(SVGPU_REG_BUS_MAGIC), SVGPU_BUS_MAGIC);
	g->begin_epoch(5);
	g->set_bus(1);
	EXPECT_TRUE(g->dead());
	EXPECT_EQ(g->reg(SVGPU_REG_MAGIC), 0u);
	// Not to be started by hand either.
	svgpud->signal(SIGUSR2);
	svgpud->read_until("not started: the bus is off");
	g->set_bus(2);
	g->await("the next device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	EXPECT_EQ(g->reg(SVGPU_REG_GENERATION), 2u);
	EXPECT_TRUE(g->alive());
	g->begin_epoch(6);
	g->exchange_job();
	// On again is another device.
	g->set_bus(4);
	g->await("the third device", SVGPU_REG_GENERATION, 3);
	g->leave();
	EXPECT_EQ(svgpud->wait(), 0);
}

TEST_F(bus, a_device_that_was_killed_stays_dead)
{
	begin({});
	svgpud->signal(SIGUSR1);
	svgpud->read_until("was killed");
	cycle(1);
	EXPECT_TRUE(g->dead());
	svgpud->signal(SIGUSR2);
	g->await("the next device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	g->begin_epoch(5);
}

TEST_F(bus, lies_are_read_at_each_start)
{
	begin({ "--evil-file", lies_path() });
	say_lies("9:heart");
	cycle(1);
	svgpud->read_until("it lies: --evil 9:heart");
	g->await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	say_lies("9:nothing");
	cycle(3);
	svgpud->read_until("not started: " + lies_path() + ": unknown lie 'nothing'");
	EXPECT_EQ(g->reg(SVGPU_REG_MAGIC), 0u);
	say_lies("");
	cycle(5);
	g->await("the device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	g->begin_epoch(5);
	g->exchange_job();
}

TEST_F(bus, the_seed_is_printed)
{
	std::vector<std::string> args = command_line();

	args.insert(args.end(), { "--evil", "77:late,die" });

	program one(args);

	EXPECT_NE(one.read_until("listening\n").find("lies, --evil 77:late,die"), std::string::npos);
}

TEST_F(bus, a_death_that_is_a_lie_is_followed_by_a_life)
{
	begin({ "--evil", "1:die" });
	g->begin_epoch(5);
	// Each has an end, and one end in three is its own.
	for (unsigned i = 0; i < 30; ++i)
		g->put(SVGPU_JOB_RING, SVGPU_BELL_JOB, svgpu_job{ .queue = ~0u });
	svgpud->read_until("died, as a lie");
	g->await("the second life", SVGPU_REG_GENERATION, 2);
}

TEST_F(bus, a_broken_device_fails_the_run)
{
	constexpr std::uint64_t rw = 3;

	begin({ "--evil", "1:false-ack" });
	g->begin_epoch(5);

	descriptor file(::open(ram_path.c_str(), O_RDWR | O_CLOEXEC));
	mapping ram(file, ram_bytes);

	// Address 0 by four tables, which begin at 0x1000, to the page at 0x5000.
	for (std::uint64_t at = 0x1000; at < 0x5000; at += 0x1000)
		*reinterpret_cast<std::uint64_t *>(ram.bytes().data() + at) = (at + 0x1000) | rw;
	g->put(SVGPU_SYNC_RING, SVGPU_BELL_SYNC,
	       svgpu_sync{ .seq = 1, .op = SVGPU_SYNC_CONTEXT_SET, .address = 0x1000 });
	g->put(SVGPU_SYNC_RING, SVGPU_BELL_SYNC, svgpu_sync{ .seq = 2, .op = SVGPU_SYNC_QUEUE_SET });
	g->await("the queue", SVGPU_REG_SYNC_DONE, 2);
	g->put(SVGPU_JOB_RING, SVGPU_BELL_JOB, svgpu_job{ .kernel = SVGPU_KERNEL_FILL, .args = { 0, 4096, 7 } });
	for (unsigned i = 0; i < 20000 && ram.bytes()[0x5fff] != std::byte{ 7 }; ++i)
		std::this_thread::sleep_for(1ms);
	ASSERT_EQ(ram.bytes()[0x5fff], std::byte{ 7 });
	g->put(SVGPU_SYNC_RING, SVGPU_BELL_SYNC,
	       svgpu_sync{ .seq = 3, .op = SVGPU_SYNC_INVALIDATE, .start = 0, .end = 4096 });
	svgpud->read_until("VIOLATION: the TLB holds");
	svgpud->read_until("ended with status 43");
	g->leave();
	EXPECT_EQ(svgpud->wait(), 3);
}

TEST_F(bus, format_is_read_whenever_the_device_starts)
{
	begin({ "--mmu", "amd_gfx9", "--mmu-file", format_path() });
	EXPECT_EQ(g->reg(SVGPU_REG_FORMATS), 1u << SVGPU_FORMAT_AMD_GFX9);
	say_format("nv_v3");
	cycle(1);
	g->await("the next device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	EXPECT_EQ(g->reg(SVGPU_REG_FORMATS), 1u << SVGPU_FORMAT_NV_V3);
	say_format("pascal");
	cycle(3);
	svgpud->read_until("unknown format 'pascal'; there are: xe2");
	EXPECT_NE(g->reg(SVGPU_REG_MAGIC), SVGPU_MAGIC);
	say_format("");
	cycle(5);
	g->await("the last device", SVGPU_REG_MAGIC, SVGPU_MAGIC);
	EXPECT_EQ(g->reg(SVGPU_REG_FORMATS), 1u << SVGPU_FORMAT_AMD_GFX9);
}

} // namespace
