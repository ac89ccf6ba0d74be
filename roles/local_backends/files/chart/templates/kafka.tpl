{{- $values := .Values.kafka }}
{{- $self := dict "root" . "name" "kafka" }}
{{- if $values.enabled }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: kafka
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  replicas: 1
  serviceName: kafka
  # OrderedReady would never replace a pod whose image cannot be pulled (see seaweedfs.tpl).
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "backends.labels" $self | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      # KAFKA_PORT and the like would be read as settings.
      enableServiceLinks: false
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        {{- include "backends.podSecurity" 10001 | nindent 8 }}
      containers:
        - name: kafka
          image: {{ include "backends.image" $values.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [/opt/kafka/start]
          args:
            # Brokers tell clients where to connect: pods get the Service's name, this machine its own port.
            - --override
            - listeners=PLAINTEXT://:9092,HOST://:9094,CONTROLLER://localhost:9093
            - --override
            - listener.security.protocol.map=PLAINTEXT:PLAINTEXT,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT
            - --override
            - advertised.listeners=PLAINTEXT://kafka.{{ .Release.Namespace }}.svc:9092,HOST://127.0.0.1:{{ $values.hostPort }}
            - --override
            - auto.create.topics.enable=false
            # The log cleaner's buffer, 128 MiB by default
            - --override
            - log.cleaner.dedupe.buffer.size=4194304
            # What the volume can hold
            - --override
            - log.segment.bytes=33554432
            - --override
            - log.retention.bytes=268435456
          env:
            # Of the memory limit
            - name: KAFKA_HEAP_OPTS
              value: -XX:InitialRAMPercentage=12 -XX:MaxRAMPercentage=40
          ports:
            - name: kafka
              containerPort: 9092
            - name: kafka-host
              containerPort: 9094
          startupProbe:
            tcpSocket: &probe
              port: kafka
            periodSeconds: 1
            timeoutSeconds: 3
            failureThreshold: 180
          readinessProbe:
            tcpSocket: *probe
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            tcpSocket: *probe
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "backends.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /var/lib/kafka
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 16Mi
  volumeClaimTemplates:
    - metadata:
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
  name: kafka
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: kafka
      port: 9092
      targetPort: kafka
---
apiVersion: v1
kind: Service
metadata:
  name: kafka-host
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  type: NodePort
  selector:
    {{- include "backends.selector" $self | nindent 4 }}
  ports:
    - name: kafka-host
      port: 9094
      targetPort: kafka-host
      nodePort: {{ $values.nodePort }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: kafka
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "backends.labels" $self | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "backends.selector" $self | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # Tempo, and this machine through the node, which is no pod.
    - ports:
        - port: kafka
        - port: kafka-host
  egress: []
{{- end }}
