// One ncnn network with its input set.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "allocator.h"
#include "job.h"
#include "mat.h"
#include "net.h"
#include "runner.h"

class Network : public Runner {
public:
    // Loads and runs once; ends the process with a fault of the model where ncnn refuses it.
    Network(const NetworkFiles& files, const Job& job);

    RunTimes run(long count) override;

    // Size, sum, sum of magnitudes, largest magnitude, six values: fleetnas_latency.digest.output_digest.
    std::vector<double> digest() const;

private:
    void infer();

    std::string name_;
    ncnn::UnlockedPoolAllocator blobs_;
    ncnn::PoolAllocator workspace_;
    ncnn::Net net_;
    ncnn::Mat input_;
    ncnn::Mat output_;
};
