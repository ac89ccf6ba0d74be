{{- $values := .Values.seaweedfs }}
{{- $self := dict "root" . "name" "seaweedfs" }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: seaweedfs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  serviceName: seaweedfs
  replicas: 1
  # OrderedReady would never replace a pod whose image cannot be pulled, not even by one with a better image:
  # https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "backends.labels" $self | nindent 8 }}
      {{- with $values.secretRevision }}
      annotations:
        checksum/secret: {{ . | quote }}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      # A stop takes 15 to 20 s: the servers in the process end one after the other.
      terminationGracePeriodSeconds: 45
      securityContext:
        {{- include "backends.podSecurity" 10001 | nindent 8 }}
      containers:
        - name: seaweedfs
          image: {{ include "backends.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/usr/bin/weed]
          args:
            - -logtostderr=true
            - server
            - -dir=/data
            # Master, volume server and filer trust whoever reaches them, so only this pod can.
            - -ip=127.0.0.1
            - -ip.bind=127.0.0.1
            - -master.telemetry=false
            # Alone, a longer election (10 s) only makes a restart slower.
            - -master.electionTimeout=1s
            # Every bucket is a collection with volumes of its own: many small ones instead of 8 of 30 GB.
            - -master.volumeSizeLimitMB=64
            - -volume.max=100
            - -volume.preStopSeconds=1
            - -filer
            - -s3
            - -s3.ip.bind=0.0.0.0
            - -s3.port=8333
            - -s3.cert.file=/etc/seaweedfs/s3/tls.crt
            - -s3.key.file=/etc/seaweedfs/s3/tls.key
            - -s3.config=/etc/seaweedfs/s3/s3.json
            # As on AWS, writing to a bucket that does not exist is an error.
            - -s3.autoCreateBucket=false
            - -s3.port.iceberg=0
            - -s3.port.lance=0
          env:
            - name: GOMEMLIMIT
              value: {{ include "backends.goMemLimit" $values.resources.limits.memory }}
            # master.toml's master.volume_growth.copy_1: a new bucket takes 2 volumes at a time instead of 7.
            - name: WEED_MASTER_VOLUME_GROWTH_COPY_1
              value: "2"
            # Without it, a bucket with default encryption refuses every object.
            - name: WEED_S3_SSE_KEK
              valueFrom:
                secretKeyRef:
                  name: {{ $values.secretName }}
                  key: sse_kek
          ports:
            - name: s3
              containerPort: 8333
          startupProbe:
            httpGet: &probe
              path: /healthz
              port: s3
              scheme: HTTPS
            periodSeconds: 1
            failureThreshold: 120
          readinessProbe:
            httpGet:
              path: /readyz
              port: s3
              scheme: HTTPS
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: *probe
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "backends.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /data
            # Sockets by which the servers in the process reach each other.
            - name: tmp
              mountPath: /tmp
            - name: s3
              mountPath: /etc/seaweedfs/s3
              readOnly: true
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
        - name: s3
          secret:
            secretName: {{ $values.secretName }}
            defaultMode: 0440
            items:
              {{- range $key := list "s3.json" "tls.crt" "tls.key" }}
              - key: {{ $key }}
                path: {{ $key }}
              {{- end }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $values.storage.size }}
---
apiVersion: v1
kind: Service
metadata:
  name: seaweedfs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: s3
      port: 8333
      targetPort: s3
---
apiVersion: v1
kind: Service
metadata:
  name: seaweedfs-host
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  type: NodePort
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: s3
      port: 8333
      targetPort: s3
      nodePort: {{ $values.nodePort }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: seaweedfs
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # From anywhere, the node port included: the endpoint asks for TLS and a signature. The gateway's gRPC port (18333),
    # which asks for neither, stays closed.
    - ports:
        - port: s3
  egress: []
