{{/* What the operator may do in a namespace it watches, and nothing else. */}}

{{- define "rowlock.operatorRules" -}}
# Our kinds: users write specs, the operator writes statuses.
- apiGroups: [rowlock.dev]
  resources: [workqueues, rowsources, monitoringprocesses]
  verbs: [get, list, watch]
- apiGroups: [rowlock.dev]
  resources: [workqueues/status, rowsources/status, monitoringprocesses/status]
  verbs: [get, patch]
- apiGroups: [rowlock.dev]
  resources: [workqueues/scale]
  verbs: [get, patch]
# Owner references that block deletion need this where the admission plugin OwnerReferencesPermissionEnforcement is on (OpenShift).
- apiGroups: [rowlock.dev]
  resources: [workqueues/finalizers, rowsources/finalizers]
  verbs: [update]
# Workers.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch]
# One Kubernetes Job a run.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Why a pod does not run; its deletion cost, so that idle workers go first; a canceled run's pod.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
# Only the named Secrets: their URLs are read, never listed.
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml (concat (list (include "rowlock.databaseSecret" .) (include "rowlock.redisSecret" .)) .Values.rbac.secretNames | uniq) | nindent 4 }}
  verbs: [get]
{{- if .Values.domain.monitoring.enabled }}
# Logins and API keys that MonitoringProcesses name.
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.domain.monitoring.secretNames }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  verbs: [get]
{{- end }}
{{- if .Values.rbac.rowSecrets }}
# rowDelivery: Secret.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete]
{{- end }}
# Which release serves a namespace, where several watch it. A name cannot limit "create".
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [rowlock-watched-by]
  verbs: [get, update]
# Autoscalers that somebody has pointed at a worker Deployment: their number is not contested.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Why a pod's volumes, network or readiness do not come: said in Events only. Asked for of single pods in trouble.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}
