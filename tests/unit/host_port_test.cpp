// SPDX-License-Identifier: GPL-2.0-only
/* The host port's own rules: sequences as the kernel has them, and complaints about what the kernel would not survive. */
#include "mm/port.h"
#include "tests/unit/machine.hpp"

#include "mm/base/guard.hpp"

namespace svm_test
{

class host_port_test : public machine
{
protected:
	void SetUp() override
	{
		domain = port_domain_create(this, proc.get(), &dev, nullptr);
	}
	void TearDown() override
	{
		port_domain_destroy(domain);
		machine::TearDown();
	}

	void expect_complaint(const char *about)
	{
		auto said = take_complaints();

		ASSERT_EQ(said.size(), 1u) << about;
		EXPECT_NE(said[0].find(about), std::string::npos) << said[0];
	}

	port_domain *domain = nullptr;
};

TEST_F(host_port_test, sleeping_under_a_table_lock)
{
	struct port_lock lock, other;

	port_lock_init(&lock);
	port_lock_init(&other);
	port_lock(&lock);
	port_free(port_alloc(8));
	expect_complaint("under a table lock");
	port_relax();
	expect_complaint("under a table lock");
	port_lock(&other);
	expect_complaint("second table lock");
	port_unlock(&other);
	port_unlock(&lock);
	port_relax();
}

TEST_F(host_port_test, synchronize_inside_a_reader_section)
{
	/* It would wait for itself; here another thread stands for it, so that the test ends. */
	current().readers++;
	port_synchronize(domain);
	current().readers--;
	expect_complaint("inside a reader section");
}

static u64 word_of(u64 dma)
{
	return dma >> PORT_PAGE_LG2 | PORT_PAGE_VALID | PORT_PAGE_WRITE;
}

TEST_F(host_port_test, dma_is_released_once)
{
	u32 f = mem->take(0);
	u64 word = word_of(memory::dma_of(f)), unknown = word_of(0x1000);

	mem->dma_map(f, 12);
	port_dma_release(domain, &word, 1, 12, true);
	EXPECT_TRUE(mem->at(f).dirty);
	port_dma_release(domain, &word, 1, 12, false);
	expect_complaint("not mapped");
	port_dma_release(domain, &unknown, 1, 12, false);
	expect_complaint("never mapped");
	mem->dma_map(f, 12);
	mem->put(f);
	port_dma_release(domain, &word, 1, 12, true);
	expect_complaint("freed page marked dirty");
}

/* Of several words those with a page count, and only what the device could write is dirty. */
TEST_F(host_port_test, dma_is_released_by_words)
{
	u32 a = mem->take(0), b = mem->take(0);
	u64 words[] = {word_of(memory::dma_of(a)), 0, word_of(memory::dma_of(b)) & ~PORT_PAGE_WRITE};

	for (bool dirty : {false, true}) {
		mem->dma_map(a, 12);
		mem->dma_map(b, 12);
		port_dma_release(domain, words, 3, 12, dirty);
		EXPECT_EQ(mem->dma_live(), 0u);
		EXPECT_EQ(mem->at(a).dirty, dirty);
		EXPECT_FALSE(mem->at(b).dirty);
	}
	mem->put(a);
	mem->put(b);
}

TEST_F(host_port_test, a_block_is_released_as_a_block)
{
	u32 head = mem->take_block(0);
	u64 word = word_of(memory::dma_of(head));

	mem->dma_map(head, 21);
	port_dma_release(domain, &word, 1, 12, false);
	expect_complaint("not mapped");
	port_dma_release(domain, &word, 1, 21, false);
	for (u32 i = 0; i < BLOCK_FRAMES; i++)
		mem->put(head + i);
}

/* ---- notifier sequences ---- */

TEST_F(host_port_test, sequence_is_odd_while_an_interval_is_met)
{
	subscriptions s;
	interval i{.start = 0x1000, .last = 0x1fff, .owner = nullptr};

	s.insert(i);

	u64 born = i.seq.load_relaxed();

	EXPECT_EQ(born % 2, 1u);
	EXPECT_EQ(s.read_begin(born), born); /* nothing under way: does not wait */
	s.remove(i);
}

TEST_F(host_port_test, insertion_during_an_invalidation_waits_for_its_end)
{
	subscriptions s;
	interval late{.start = 0x1000, .last = 0x1fff, .owner = nullptr};
	std::atomic<bool> through{false};

	s.start({0x1000, 0x2000}); /* meets nobody */
	s.insert(late); /* but now it does: born into an invalidation */
	EXPECT_EQ(late.seq.load_relaxed() % 2, 1u);

	std::thread t([&] {
		s.read_begin(late.seq.load_relaxed());
		through = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(30));
	EXPECT_FALSE(through);
	s.end();
	t.join();
	s.remove(late);
}

TEST_F(host_port_test, removal_during_an_invalidation_waits_for_its_end)
{
	subscriptions s;
	interval born{.start = 0x1000, .last = 0x1fff, .owner = nullptr};
	std::atomic<bool> removed{false};

	s.start({0x1000, 0x2000});
	s.insert(born);

	std::thread t([&] {
		s.remove(born);
		removed = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(30));
	EXPECT_FALSE(removed);
	s.end();
	t.join();
}

/* ---- domain ---- */

TEST_F(host_port_test, parallel_runs_all_at_once)
{
	struct state {
		std::atomic<unsigned> inside{0};
		std::atomic<unsigned> met{0};
	} s;
	svm::session process(domain);

	port_parallel(
		domain, 3,
		[](void *arg) {
			auto *s = static_cast<state *>(arg);

			s->inside++;
			s->met += eventually([&] { return s->inside == 3; });
		},
		&s);
	EXPECT_EQ(s.met, 3u);
}

/* ---- the simulated mm ---- */

TEST_F(host_port_test, fork_and_copy_on_write)
{
	u64 v;

	map(BASE, MiB);
	map(BASE + 2 * MiB, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * PAGE, 5);
	touch(BASE + 2 * MiB, 2 * PAGE, 7);

	auto child = proc->fork();

	ASSERT_EQ(proc->write(BASE, 50), 0);
	ASSERT_EQ(proc->write(BASE + 2 * MiB, 70), 0);
	EXPECT_EQ(child->read(BASE), 5u);
	EXPECT_EQ(child->read(BASE + 2 * MiB), 7u);
	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 50u);
	ASSERT_EQ(proc->read(BASE + 2 * MiB + PAGE, &v), 0);
	EXPECT_EQ(v, 8u);
}

/* A page that nobody marked dirty loses what was written behind the CPU's back: that is what makes the dirty tests fail. */
TEST_F(host_port_test, swap_drops_clean_pages)
{
	u64 v;

	map(BASE, MiB);
	ASSERT_EQ(proc->write(BASE, 5), 0);
	proc->swap_out(BASE);
	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 5u);
	mem->at(proc->snapshot(proc->find(BASE), BASE)->frame).value = 6;
	proc->swap_out(BASE);
	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 5u);
}

} // namespace svm_test
