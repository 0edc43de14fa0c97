using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>How a player joins. What is null is not sent.</summary>
    public sealed class SessionJoin
    {
        /// <summary>The team, 1 to 32 characters.</summary>
        public string Team { get; set; }

        internal JObject ToJson()
        {
            var json = new JObject();
            json.AddUnlessNull("team", Team);
            return json;
        }
    }
}
