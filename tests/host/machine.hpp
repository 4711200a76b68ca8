/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated machine as a whole: memory, a process, a backend with its device, and a vm of
 * theirs. close() takes it apart, and complains about whatever is left over.
 */
#ifndef SVM_TESTS_HOST_MACHINE_HPP
#define SVM_TESTS_HOST_MACHINE_HPP

#include "tests/host/backend.hpp"
#include "tests/host/check.hpp"
#include "tests/host/domain.hpp"

#include <svm/memory.h>
#include <svm/svm.h>

#include <atomic>
#include <string>

namespace svm_host
{

constexpr u64 KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB;
/* Where tests have their memory: amid a table, a directory and an interval of its own. */
constexpr u64 BASE = 0x7f0000000000ull;

class machine
{
public:
	/* What create() asks for. */
	svm_vm_params params(u32 interval_lg2 = 0, u32 granule_lg2 = 0);
	/* A vm; another can be made with other parameters after destroy(). 0 or a negative errno. */
	int create(u32 interval_lg2 = 0, u32 granule_lg2 = 0);
	void destroy();
	void exit();
	void close();

	int fault(u64 va, svm_access how = SVM_READ)
	{
		return svm_fault(vm, va, how);
	}
	/* A fault of the device, which will try again. Complains where the mirror has it and the device does not see it. */
	struct patience {
		unsigned misses = 0;
	};
	int serve(u64 va, svm_access how, patience &left);
	gpu &device()
	{
		return gpus->device();
	}
	svm_counters count();
	/* Without them, a bind of null pages is refused as a whole. */
	bool has_null() const
	{
		return svm_format_describe(svm_format_find(format.c_str()))->null;
	}

	/* Without it, no page of the process goes to the device's memory. */
	bool has_vram() const
	{
		return svm_format_describe(svm_format_find(format.c_str()))->vram;
	}

	/* Device reads and writes as a driver's queue does them: on a fault, serve it and go on. 0 or the fault's error. */
	int device_read(u64 va, u64 *value);
	int device_write(u64 va, u64 value);

	std::unique_ptr<memory> mem = std::make_unique<memory>();
	std::unique_ptr<mm_struct> proc = std::make_unique<mm_struct>(*mem);
	std::unique_ptr<backend> gpus = std::make_unique<backend>(*mem);
	::device dev;
	::svm_memory vram;
	svm_vm *vm = nullptr;
	std::string format = "xe2"; /* of the vms that create() makes */
	std::atomic<bool> running{true}; /* the process has not exited */
};

} // namespace svm_host

#endif
