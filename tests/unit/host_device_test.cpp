// SPDX-License-Identifier: GPL-2.0-only
/* The tests' own device and backend: what they must notice, they notice. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

/* A root table, filled by hand. */
class host_device_test : public ::testing::Test
{
protected:
	void SetUp() override
	{
		for (auto &t : table)
			ASSERT_EQ(backend::ops.table_alloc(&gpus, 4096, &t), 0);
		gpu().set_root(table[0].addr, false);
		for (unsigned lv = 0; lv < 3; lv++)
			word(lv, index[lv]) = table[lv + 1].addr | 3;
		frame = mem.take(va);
		mem.at(frame).value = 42;
		word(3, index[3]) = memory::dma_of(frame) | 3;
	}

	void TearDown() override
	{
		for (auto &t : table)
			if (t.cpu)
				backend::ops.table_free(&gpus, &t);
		if (frame != NO_FRAME)
			mem.put(frame);
		EXPECT_TRUE(take_complaints().empty());
	}

	void flush(u64 start, u64 end)
	{
		backend::ops.flush_wait(&gpus, backend::ops.flush_begin(&gpus, start, end), true);
	}

	svm_host::gpu &gpu()
	{
		return gpus.device();
	}

	u64 &word(unsigned lv, unsigned i)
	{
		return static_cast<u64 *>(table[lv].cpu)[i];
	}

	void expect_complaint(const char *about)
	{
		auto said = take_complaints();

		ASSERT_EQ(said.size(), 1u);
		EXPECT_NE(said[0].find(about), std::string::npos) << said[0];
	}

	static constexpr unsigned index[4] = {254, 7, 3, 9};
	static constexpr u64 va = 254ull << 39 | 7ull << 30 | 3ull << 21 | 9ull << 12;
	memory mem;
	backend gpus{mem};
	svm_table_mem table[4];
	u32 frame = NO_FRAME;
};

TEST_F(host_device_test, keeps_a_translation_until_it_is_told)
{
	EXPECT_EQ(gpu().read(va).value, 42u);
	word(3, 9) = 0;
	EXPECT_EQ(gpu().read(va).value, 42u);
	flush(va + PAGE, va + 2 * PAGE); /* not this one */
	EXPECT_EQ(gpu().read(va).value, 42u);
	flush(va, va + PAGE);
	EXPECT_EQ(gpu().read(va).what, gpu::status::fault);
	word(3, 9) = memory::dma_of(frame) | 3; /* what was not there is not kept */
	EXPECT_EQ(gpu().read(va).value, 42u);
}

TEST_F(host_device_test, keeps_pointers_to_tables)
{
	EXPECT_EQ(gpu().read(va).value, 42u);
	word(0, 254) = 0; /* it does not come by there any more */
	EXPECT_EQ(gpu().read(va + PAGE).what, gpu::status::fault);
	word(3, 10) = memory::dma_of(frame) | 3;
	mem.at(frame).home = 0;
	EXPECT_EQ(gpu().read(va + PAGE).value, 42u);
	flush(va, va + 2 * PAGE);
	EXPECT_EQ(gpu().read(va + PAGE).what, gpu::status::fault);
}

TEST_F(host_device_test, denial_is_kept_too)
{
	word(3, 9) = memory::dma_of(frame) | 1;
	EXPECT_EQ(gpu().write(va, 1).what, gpu::status::fault);
	word(3, 9) = memory::dma_of(frame) | 3;
	EXPECT_EQ(gpu().write(va, 1).what, gpu::status::fault);
	flush(va, va + PAGE);
	EXPECT_EQ(gpu().write(va, 1).what, gpu::status::ok);
	EXPECT_EQ(gpu().add(va, 1).what, gpu::status::fault); /* no AE bit */
}

TEST_F(host_device_test, sees_a_freed_page)
{
	EXPECT_EQ(gpu().read(va).value, 42u);
	mem.put(frame);
	frame = NO_FRAME;
	EXPECT_EQ(gpu().read(va).value, POISON);
	expect_complaint("freed page");
}

TEST_F(host_device_test, sees_another_addresss_page)
{
	mem.at(frame).home = va + PAGE;
	gpu().read(va);
	expect_complaint("another address");
}

TEST_F(host_device_test, sees_writes_to_shared_pages)
{
	mem.at(frame).cow = true;
	EXPECT_EQ(gpu().read(va).value, 42u);
	gpu().write(va, 1);
	expect_complaint("shared by fork");
	mem.at(frame).cow = false;
	word(3, 9) = memory::dma_of(mem.zero()) | 3;
	flush(va, va + PAGE);
	gpu().write(va, 0);
	expect_complaint("zero page");
}

TEST_F(host_device_test, sees_a_freed_table)
{
	EXPECT_EQ(gpu().read(va).value, 42u);
	backend::ops.table_free(&gpus, &table[3]);
	table[3].cpu = nullptr;
	gpu().read(va + PAGE); /* by the pointer that it kept */
	expect_complaint("freed table");
}

TEST_F(host_device_test, sees_garbage)
{
	word(3, 9) = memory::dma_of(frame) | 1ull << 55 | 3;
	EXPECT_EQ(gpu().read(va).what, gpu::status::bad);
	expect_complaint("malformed");
	word(3, 9) = 0x5000 | 3;
	EXPECT_EQ(gpu().read(va).what, gpu::status::bad);
	expect_complaint("outside memory");
}

TEST_F(host_device_test, flush_waits_for_accesses_and_may_be_held)
{
	std::atomic<bool> done{false};

	gpus.hold();

	std::thread t([&] {
		flush(va, va + PAGE);
		done = true;
	});

	EXPECT_TRUE(eventually([&] { return gpus.waiting() == 1; }));
	EXPECT_FALSE(done);
	gpus.release();
	t.join();
}

} // namespace svm_test
