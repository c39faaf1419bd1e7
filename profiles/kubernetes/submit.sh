#!/bin/sh
# Submits a script as a Kubernetes job and prints the job's name:
# submit.sh IMAGE CLAIM MOUNT CPUS MEMORY_MB GPUS MINUTES SCRIPT
set -eu
image=$1 claim=$2 mount=$3 cpus=$4 memory=$5 gpus=$6 minutes=$7 script=$8
limits="memory: ${memory}Mi"
[ "$gpus" = 0 ] || limits="$limits, nvidia.com/gpu: $gpus"
kubectl create --output name --filename - <<END
apiVersion: batch/v1
kind: Job
metadata: {generateName: manyseeds-}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: $((minutes * 60))
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: "$claim"}}
      containers:
        - name: job
          image: "$image"
          workingDir: "$PWD"
          command: [sh, "$script"]
          volumeMounts:
            - {name: data, mountPath: "$mount"}
          resources:
            requests: {cpu: "$cpus", memory: ${memory}Mi}
            limits: {$limits}
END
