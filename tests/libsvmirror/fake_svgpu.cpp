// SPDX-License-Identifier: GPL-2.0-only
/*
 * For svmctl without a device: a render node that says what it is, and makes no vm. SVMCTL_NODES=none: there is no node;
 * wedged: it is there and says that it is wedged.
 */
#include "fake_drm.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <drm/svgpu_drm.h>
#include <drm/svm_drm.h>

static int answer(drm_svm_query &ask)
{
	if (ask.query != DRM_SVM_QUERY_DEVICE)
		return EINVAL;

	auto &info = *reinterpret_cast<drm_svm_device_info *>(ask.data);

	info.capabilities = DRM_SVM_CAPABILITY_MIRROR | DRM_SVM_CAPABILITY_OBJECT | DRM_SVM_CAPABILITY_MIGRATE | DRM_SVM_CAPABILITY_ADVISE | 1ull << 40;
	info.va_bits = 48;
	info.table_lg2 = 21;
	info.leaf_sizes = 1u << 12 | 1u << 16 | 1u << 21;
	std::strcpy(info.format, "xe2");
	return 0;
}

static int tell(drm_svgpu_info &ask)
{
	auto &gpu = *reinterpret_cast<drm_svgpu_device *>(ask.data);
	const char *nodes = std::getenv("SVMCTL_NODES");

	gpu.engines = 4;
	gpu.contexts = 256;
	gpu.queues = 1024;
	gpu.vram_bytes = 64 << 20;
	gpu.tables_in_vram = 1;
	gpu.wedged = nodes && std::strcmp(nodes, "wedged") == 0;
	return 0;
}

static const bool ready = [] {
	const char *nodes = std::getenv("SVMCTL_NODES");

	fake::reset();
	if (nodes && std::strcmp(nodes, "none") == 0)
		fake::nodes() = {};
	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, answer);
	fake::on<drm_svgpu_info>(DRM_IOCTL_SVGPU_INFO, tell);
	fake::on<drm_svm_vm_create>(DRM_IOCTL_SVM_VM_CREATE, [](auto &) { return ENOSPC; });
	return true;
}();
