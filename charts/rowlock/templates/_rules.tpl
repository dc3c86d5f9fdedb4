{{/* What the operator may do in a namespace it watches, and nothing else. */}}

{{- define "rowlock.operatorRules" -}}
# Our kinds: users write specs, the operator writes statuses.
- apiGroups: [rowlock.dev]
  resources: [{{ include "rowlock.kinds" (dict "root" .) }}]
  verbs: [get, list, watch]
- apiGroups: [rowlock.dev]
  resources: [{{ include "rowlock.kinds" (dict "root" . "subresource" "/status") }}]
  verbs: [get, patch]
- apiGroups: [rowlock.dev]
  resources: [{{ include "rowlock.kinds" (dict "root" . "with" "scale" "subresource" "/scale") }}]
  verbs: [get, patch]
# Owner references that block deletion need this where the admission plugin OwnerReferencesPermissionEnforcement is on (OpenShift).
- apiGroups: [rowlock.dev]
  resources: [{{ include "rowlock.kinds" (dict "root" . "with" "ownsChildren" "subresource" "/finalizers") }}]
  verbs: [update]
{{- range (.Files.Get "files/kinds.yaml" | fromYaml).kinds }}
{{- range .needs }}
{{- with .why }}
# {{ . }}
{{- end }}
- apiGroups: [{{ .group | quote }}]
  resources: [{{ join ", " .resources }}]
  verbs: [{{ join ", " .verbs }}]
{{- end }}
{{- end }}
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

{{/* Our kinds' resources, separated by commas (or by `separator`): {root, with (a fact of files/kinds.yaml that they must have), subresource, use (the
     fact that names one)}. The file is generated from the operator's registry. */}}
{{- define "rowlock.kinds" -}}
{{- $names := list -}}
{{- range (.root.Files.Get "files/kinds.yaml" | fromYaml).kinds -}}
{{- if or (not $.with) (get . $.with) -}}
{{- $names = append $names (printf "%s%s" (get . (default "plural" $.use)) (default "" $.subresource)) -}}
{{- end -}}
{{- end -}}
{{- join (default ", " .separator) $names -}}
{{- end -}}
