using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A change of a member. What is not set is not sent, and stays as it is.</summary>
    public sealed class MemberUpdate
    {
        /// <summary>Whether the player is ready.</summary>
        public Optional<bool> Ready { get; set; }

        /// <summary>The team, 1 to 32 characters.</summary>
        public Optional<string> Team { get; set; }

        internal JObject ToJson()
        {
            var json = new JObject();
            json.AddIfSet("ready", Ready);
            json.AddIfSet("team", Team);
            return json;
        }
    }
}
