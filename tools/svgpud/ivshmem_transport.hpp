// SPDX-License-Identifier: GPL-2.0-only
// The device plugged into QEMU: bells and interrupts are eventfds, which QEMU's doorbell writes and MSI-X reads.
#pragma once

#include "ivshmem_server.hpp"
#include "model/transport.hpp"

namespace svgpu {

class ivshmem_transport final : public transport {
public:
	// All three must outlive the transport.
	ivshmem_transport(std::span<std::byte> bar, std::span<std::byte> ram, const ivshmem_plug &plug)
		: bar_(bar)
		, ram_(ram)
		, plug_(plug)
	{
	}

	std::span<std::byte> bar() override { return bar_; }
	std::span<std::byte> ram() override { return ram_; }
	bool wait(unsigned bell, std::chrono::milliseconds timeout) override;
	void ring(unsigned bell) override;
	void interrupt(unsigned vector) override;

private:
	std::span<std::byte> bar_;
	std::span<std::byte> ram_;
	const ivshmem_plug &plug_;
};

} // namespace svgpu
