// What can be seen of the device around a measurement; what is not there is left out.
#pragma once

#include <map>
#include <string>
#include <vector>

// Restricts the process to the cores; ends it with a fault where the kernel refuses. Empty: nothing to do.
void pin(const std::vector<int>& cores);

// Load, governor, frequencies, temperatures, memory, context switches, cores, by the names of
// fleetnas_agents/evidence.py.
std::map<std::string, std::string> device_facts();
