using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>That the service is up, and which one it is.</summary>
    public sealed class Health
    {
        internal Health(JObject json)
        {
            Status = json.Text("status");
            Version = json.Text("version");
            Commit = json.TextOrNull("commit");
        }

        /// <summary>"ok".</summary>
        public string Status { get; }

        /// <summary>The version of the service.</summary>
        public string Version { get; }

        /// <summary>The commit of the service.</summary>
        public string Commit { get; }
    }
}
