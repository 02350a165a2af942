// SPDX-License-Identifier: GPL-2.0-only
/* The counters of a VM's process, for "gondola metrics". */
#include "control/control.h"
#include "device/virtio/devices.h"
#include "inspect.h"
#include "vm/vm.h"

/* Nothing here waits: the module counts without a lock, and so do devices. */
static void on_metrics(struct control_request *request)
{
	struct json_object *threads = json_object_new_array();
	const struct vm *vm = request->vm;
	struct gondola_stats stats;

	vm_collect_stats(vm, &stats);
	vm_stats_json(&stats, request->out);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		json_object_array_add(threads, json_object_new_int(
			__atomic_load_n(&vm->vcpus[i].tid, __ATOMIC_RELAXED)));
	json_object_object_add(request->out, "threads", threads);
	json_object_object_add(request->out, "devices", virtio_counts_json(vm));
}

void metrics_add_commands(void)
{
	control_add("metrics", on_metrics);
}
