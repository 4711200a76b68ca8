// SPDX-License-Identifier: GPL-2.0-only
// Mapping what the device needs, and standing aside.
#include "worker.hpp"

#include "ivshmem_transport.hpp"
#include "shared_memory.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace svgpu {

using namespace std::chrono_literals;

namespace {

descriptor await_ram(const worker_options &options, const log &log)
{
	bool told = false;

	for (;;) {
		descriptor file = open_when_ready(options.ram, options.ram_bytes);

		if (file)
			return file;
		if (!told)
			log("waiting for {} of {} bytes", options.ram.string(), options.ram_bytes);
		told = true;
		std::this_thread::sleep_for(20ms);
	}
}

} // namespace

void run_worker(const worker_options &options, const ivshmem_plug &plug, const log &log)
{
	mapping bar(plug.bar, options.bar_bytes);

	// What the bus interface says there is not the device's to write, whatever it writes elsewhere.
	if (::mprotect(bar.bytes().data() + SVGPU_BUS_PAGE, SVGPU_BUS_PAGE_BYTES, PROT_READ))
		throw std::system_error(errno, std::generic_category(), "cannot protect the bus page");

	mapping ram(await_ram(options, log), options.ram_bytes);
	ivshmem_transport machine(bar.bytes(), ram.bytes(), plug);
	device gpu(machine, log, options.device);

	for (;;)
		::pause();
}

} // namespace svgpu
