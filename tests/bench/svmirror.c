// SPDX-License-Identifier: GPL-2.0-only
/*
 * svmirror as a driver uses it: the public interface, tables from the fake device.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <svm/svm.h>

#include "bench.h"

static int table_alloc(void *backend, u32 bytes, struct svm_table_mem *mem)
{
	if (bytes > PAGE_SIZE)
		return -ENOMEM;
	mem->cpu = bench_table_alloc();
	if (!mem->cpu)
		return -ENOMEM;
	mem->addr = virt_to_phys(mem->cpu);
	mem->aperture = SVM_SYSTEM;
	mem->bytes = bytes;
	return 0;
}

static void table_free(void *backend, const struct svm_table_mem *mem)
{
	bench_table_free(mem->cpu);
}

static u64 flush_begin(void *backend, u64 start, u64 end)
{
	bench_flush(start, end);
	return 1;
}

static void flush_wait(void *backend, u64 token, bool may_sleep)
{
}

static const struct svm_backend_ops ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
};

static void svmirror_end(void *state)
{
	svm_vm_destroy(state);
}

static int svmirror_begin(u32 granule_lg2, void **state)
{
	struct svm_vm_params params = {
		.ops = &ops,
		.format = svm_format_find("xe2"),
		.mm = current->mm,
		.dma_device = bench_device,
		.granule_lg2 = granule_lg2,
	};
	struct svm_vm *vm;
	int err = svm_vm_create(&params, &vm);

	if (err)
		return err;
	err = svm_bind_all(vm);
	if (err) {
		svm_vm_destroy(vm);
		return err;
	}
	*state = vm;
	return 0;
}

static int svmirror_fault(void *state, u64 va, bool write)
{
	int err;

	do {
		err = svm_fault(state, va, write ? SVM_WRITE : SVM_READ);
	} while (err == -EAGAIN);
	return err;
}

static int svmirror_prefetch(void *state, u64 start, u64 end)
{
	u64 pages;

	return svm_prefetch(state, start, end, SVM_WRITE, &pages);
}

static int svmirror_bind_null(void *state, u64 va)
{
	struct svm_bind_op op = {
		.start = va,
		.end = va + PAGE_SIZE,
		.kind = SVM_BIND_NULL,
	};

	return svm_bind_many(state, &op, 1);
}

static void svmirror_state(void *state, struct svm_bench_state *out)
{
	struct svm_counters counters;

	svm_vm_counters(state, &counters);
	out->pages = counters.present;
	out->host_bytes = counters.host_bytes;
	out->table_bytes = counters.device_bytes;
}

const struct bench_ops bench_svmirror = {
	.begin = svmirror_begin,
	.end = svmirror_end,
	.fault = svmirror_fault,
	.prefetch = svmirror_prefetch,
	.bind_null = svmirror_bind_null,
	.state = svmirror_state,
};
